import type { CoverageView, GraphEdge, GraphNode, GraphView } from '@sallyport/shared/api';
import { percent } from '../../lib/format.ts';
import { matches } from '../../lib/matches.ts';
import { protectionOf, type Protection } from '../../lib/protection.ts';

export type EdgeState = GraphEdge['state'];
export const EDGE_STATES: readonly EdgeState[] = ['expected', 'undeclared', 'denied', 'unused'];

interface Words {
  readonly name: string;
  /** What it means, in one line. */
  readonly means: string;
}

const STATE_WORDS: Readonly<Record<EdgeState, Words>> = {
  expected: { name: 'expected', means: 'declared and seen' },
  undeclared: { name: 'undeclared', means: 'seen, but nobody declared it' },
  denied: { name: 'denied', means: 'nothing got through: calls were denied' },
  unused: { name: 'unused', means: 'declared or allowed, never seen in the window' },
};
const FAILED: Words = { name: 'failed', means: 'nothing got through, and nothing was denied: connections failed, at the handshake or on the way' };

/** True where nothing got through although nobody denied a call: the state is `denied`, but no policy is the cause. */
export function isFailed(edge: Pick<GraphEdge, 'state' | 'denied'>): boolean {
  return edge.state === 'denied' && edge.denied === 0;
}

/** An edge's state in words: `failed` for one that is denied by nobody. */
export function stateWords(edge: Pick<GraphEdge, 'state' | 'denied'>): Words {
  return isFailed(edge) ? FAILED : STATE_WORDS[edge.state];
}

/** One edge's identity within a graph: the same before and after a refresh. */
export function edgeId(edge: Pick<GraphEdge, 'source' | 'target' | 'port' | 'protocol'>): string {
  return `${edge.source}>${edge.target}:${edge.port}/${edge.protocol}`;
}

/** `ns/name` of a node, or the address of a peer that is nobody we know. */
export function nodeName(id: string): string {
  return id.slice(id.indexOf(':') + 1);
}

/** The states that an address such as `?states=denied,unused` asks for; all when it names none that exist. */
export function readStates(text: string): ReadonlySet<EdgeState> {
  const asked = EDGE_STATES.filter((state) => text.split(',').includes(state));
  return new Set(asked.length === 0 ? EDGE_STATES : asked);
}

export interface GraphFilter {
  readonly states: ReadonlySet<EdgeState>;
  readonly find: string;
}

/** The edges that a filter shows. Picture and table both show exactly these. */
export function shownEdges(view: GraphView, filter: GraphFilter): GraphEdge[] {
  return view.edges.filter(
    (edge) =>
      filter.states.has(edge.state) &&
      matches({ a: edge.source, b: edge.target, c: edge.port, d: [edge.state, stateWords(edge).name], e: edge.policies, f: edge.methods.map((each) => `${each.method} ${each.path}`) }, filter.find),
  );
}

export function edgeProtection(edge: GraphEdge): Protection {
  return protectionOf(edge.mtls, edge.stale);
}

/** The words on an edge: nothing for a plain locked one (it carries the lock), the figure for any other. */
export function edgeLabel(edge: GraphEdge): string {
  const denied = edge.denied > 0 ? `✕ ${edge.denied} denied` : '';
  if (edge.state === 'denied') return denied || `✕ ${edge.failed} failed`;
  if (edge.state === 'unused') return '';
  const { state } = edgeProtection(edge);
  return [state === 'locked' ? '' : figure(edge), denied].filter(Boolean).join('\n');
}

function figure(edge: GraphEdge): string {
  const { mutual, plaintext, unknown } = edge.mtls;
  const total = mutual + plaintext + unknown;
  if (total === 0 || (edge.stale && mutual === total)) return '? unknown';
  return [
    mutual > 0 ? `${percent(mutual, total)} mTLS` : '',
    plaintext > 0 ? `${percent(plaintext, total)} plaintext` : '',
    unknown > 0 ? `${percent(unknown, total)} unknown` : '',
  ]
    .filter(Boolean)
    .join('\n');
}

/** True only when the edge may carry the lock. */
export function isLocked(edge: GraphEdge): boolean {
  return edge.requests > 0 && (edge.state === 'expected' || edge.state === 'undeclared') && edgeProtection(edge).state === 'locked';
}

/**
 * What is known about a node now. `live`: every proxy of it reports. `partly`: some do. `silent`: it has proxies and
 * none reports. `outside`: it has none, so nothing protects it or tells about it.
 * `foreign`: its proxies are those of another trust domain. `address`: nobody we know.
 */
export type NodeCondition =
  | { readonly kind: 'live' | 'partly' | 'outside' | 'address' }
  | { readonly kind: 'foreign'; readonly trustDomain: string }
  | SilentNode;

interface SilentNode {
  readonly kind: 'silent';
  readonly since: string | null;
  readonly proxy: string;
}

export function nodeCondition(node: GraphNode, coverage: CoverageView): NodeCondition {
  if (node.kind === 'address') return { kind: 'address' };
  if (node.trustDomain !== null) return { kind: 'foreign', trustDomain: node.trustDomain };
  const first = node.proxies[0];
  if (first === undefined) return { kind: 'outside' };
  const silent = node.proxies.filter((proxy) => !proxy.live).length;
  if (silent === 0) return { kind: node.meshed ? 'live' : 'partly' };
  if (silent < node.proxies.length) return { kind: 'partly' };
  const reports = node.proxies.map((proxy) => ({ proxy: proxy.name, since: coverage.proxies.find((each) => each.name === proxy.name)?.lastReport ?? null }));
  const newest = reports.sort((a, b) => (b.since ?? '').localeCompare(a.since ?? ''))[0];
  return { kind: 'silent', since: newest?.since ?? null, proxy: newest?.proxy ?? first.name };
}
