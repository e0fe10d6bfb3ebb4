import { parseSpiffeId } from '../../mesh/index.ts';
import { accountPatterns, principalPatterns, trustDomainPatterns } from '../../policy/index.ts';
import type { MeshSpec } from '../../resources/index.ts';
import { ANY_SEGMENT, exactly, segmentClasses, type SegmentPattern, type SegmentTest, stringPattern } from './segments.ts';
import type { Classes } from './strings.ts';

/** A list of values about the peer's identity, as some rule has it. */
export interface IdentityPatterns {
  readonly subject: string;
  readonly values: readonly string[];
  /** Namespace of the policy. */
  readonly namespace: string;
  readonly mesh: MeshSpec;
}

/** SPIFFE IDs (without scheme) that the lists tell apart. */
export function identityClasses(lists: readonly IdentityPatterns[]): Classes {
  const patterns = new Map<string, SegmentPattern>();
  for (const list of lists) for (const pattern of patternsOf(list)) patterns.set(JSON.stringify(pattern), pattern);
  return segmentClasses([...patterns.values()], {
    allowed: (segment, index) => isSpiffeId(index === 0 ? segment : `x/${segment}`),
    last: () => false,
    valid: isSpiffeId,
  });
}

function isSpiffeId(text: string): boolean {
  try {
    parseSpiffeId(`spiffe://${text}`);
    return true;
  } catch {
    return false;
  }
}

function patternsOf({ subject, values, namespace, mesh }: IdentityPatterns): SegmentPattern[] {
  switch (subject) {
    case 'principals': case 'source.principal': return principalPatterns(values, mesh).filter((value) => value !== '*').map(stringPattern);
    case 'trustDomains': case 'source.trustDomain': return trustDomainPatterns(values, mesh).filter((value) => value !== '*').map((value) => ({ label: `trust domain ${value}`, elements: [segmentTest(value), 'rest'] }));
    case 'namespaces': case 'source.namespace': return values.map((value) => ({ label: `namespace ${value}`, elements: mesh.compatibility === 'istio' ? istioNamespace(value) : [ANY_SEGMENT, exactly('ns'), segmentTest(value), exactly('sa'), ANY_SEGMENT] }));
    case 'serviceAccounts': case 'source.serviceAccount': return accountPatterns(values, namespace).map((value) => ({ label: `service account ${value}`, elements: accountPattern(value) }));
    default: throw new Error(`${subject} is not about the identity`);
  }
}

type Elements = SegmentPattern['elements'];

function segmentTest(value: string): SegmentTest {
  if (value === '*') return ANY_SEGMENT;
  if (value.startsWith('*')) return { ...ANY_SEGMENT, suffix: value.slice(1) };
  return value.endsWith('*') ? { ...ANY_SEGMENT, prefix: value.slice(0, -1) } : exactly(value);
}

/** `namespace/name`, where either may hold a star in a condition. */
function accountPattern(value: string): Elements {
  const slash = value.indexOf('/');
  const form = (namespace: SegmentTest, name: SegmentTest): Elements => [ANY_SEGMENT, exactly('ns'), namespace, exactly('sa'), name];
  const [namespace, name] = [value.slice(0, slash), value.slice(slash + 1)];
  if (value.startsWith('*')) return slash < 0 ? form(ANY_SEGMENT, segmentTest(value)) : form(segmentTest(namespace), exactly(name));
  return form(exactly(namespace), segmentTest(name));
}

/** Istio finds a namespace anywhere in the identity's text, and a star crosses segments. */
function istioNamespace(value: string): Elements {
  const middle: Elements = value === '*' || !value.includes('*') ? [segmentTest(value)]
    : value.startsWith('*') ? ['rest', segmentTest(value)] : [segmentTest(value)];
  return [ANY_SEGMENT, 'rest', exactly('ns'), ...middle, ANY_SEGMENT, 'rest'];
}
