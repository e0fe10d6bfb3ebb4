import { z } from 'zod';
import { checked, type FieldCheck, notEmpty } from './checks.ts';
import { ipBlock, isIpBlock, isPort, pathPattern, portText, stringList } from './match.ts';
import { attachment, attachmentCheck, dnsLabel } from './meta.ts';

const ipBlocks = z.array(ipBlock).min(1).max(512);
const portList = z.array(portText).min(1).max(64);
/** Service accounts have no wildcards in Istio: `name` or `namespace/name`. */
const serviceAccounts = z
  .array(z.string().max(320).regex(/^([a-z0-9-]+\/)?[a-z0-9.-]+$/, 'must be name or namespace/name, without wildcards'))
  .min(1)
  .max(512);
const paths = z.array(pathPattern).min(1).max(512);

/** A list that must match and, beside it, its negation. */
function both<N extends string, S extends z.ZodType>(name: N, values: S, text: string): { [K in N | `not${Capitalize<N>}`]: z.ZodOptional<S> } {
  const negated = `not${name[0]?.toUpperCase()}${name.slice(1)}`;
  return {
    [name]: values.optional().describe(text),
    [negated]: values.optional().describe(`The negation of \`${name}\`: no value may match.`),
  } as { [K in N | `not${Capitalize<N>}`]: z.ZodOptional<S> };
}

const ACCOUNTS_ALONE: FieldCheck<{ [K in 'principals' | 'notPrincipals' | 'namespaces' | 'notNamespaces' | 'serviceAccounts' | 'notServiceAccounts']?: unknown }> = {
  // Istio: "serviceAccounts … cannot be set with principals or namespaces".
  test: (from) => (from.serviceAccounts ?? from.notServiceAccounts) === undefined || (from.principals ?? from.notPrincipals ?? from.namespaces ?? from.notNamespaces) === undefined,
  cel: '!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || !(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))',
  message: 'cannot stand beside principals or namespaces: a service account names its namespace itself',
  places: (from) => (['serviceAccounts', 'notServiceAccounts'] as const).filter((field) => from[field] !== undefined).map((field) => [field]),
  celMessage: 'serviceAccounts cannot stand beside principals or namespaces: a service account names its namespace itself',
};

const source = checked(notEmpty(
  z.strictObject({
    ...both('principals', stringList, 'Peer identities without `spiffe://`: exact, `prefix*`, `*suffix`, or `*` for any peer with an identity. The mesh’s own trust domain stands for its aliases too.'),
    ...both('serviceAccounts', serviceAccounts, 'Service accounts of the peer, `name` (of the policy’s namespace) or `namespace/name`. Not beside `principals` or `namespaces`.'),
    ...both('trustDomains', stringList, 'Trust domains of the peer.'),
    ...both('namespaces', stringList, 'Namespaces of the peer’s identity.'),
    ...both('ipBlocks', ipBlocks, 'Addresses or CIDRs of the direct peer.'),
    ...both('remoteIpBlocks', ipBlocks, 'Addresses or CIDRs of the client behind the trusted proxies (`numTrustedProxies` of the Mesh).'),
    ...both('requestPrincipals', stringList, 'Principals of the token, `issuer/subject`; `*` for any valid token. HTTP only.'),
  }).describe('Who asks. All fields that are given must match.'),
  'must name at least one field; leave `from` out to match every source',
), ACCOUNTS_ALONE);

const operation = notEmpty(
  z.strictObject({
    ...both('hosts', stringList, 'Values of the Host header, without regard to case. A host without a port also means the same host with one. HTTP only.'),
    ...both('ports', portList, 'Ports of the workload, in quotes.'),
    ...both('methods', stringList, 'HTTP methods in upper case. HTTP only.'),
    ...both('paths', paths, 'Normalised paths without query: exact, `/prefix*`, `*suffix`, `*`, or a template in which `{*}` is one segment and `{**}` any rest. HTTP only.'),
  }).describe('What is asked for. All fields that are given must match.'),
  'must name at least one field; leave `to` out to match every operation',
);

/** Keys of `when`, as Istio v1 names them; headers and claims carry a name in brackets. */
const CONDITION_KEY =
  /^((source|remote)\.ip|source\.(namespace|principal|serviceAccount|trustDomain)|destination\.(ip|port)|connection\.sni|request\.headers\[(:method|:authority|[A-Za-z0-9!#$%&'*+.^_`|~-]+)\]|request\.auth\.(principal|audiences|presenter)|request\.auth\.claims(\[[^[\]]+\]){1,8})$/;

/** What the reference says of the keys; `name` and `a` stand for names. */
const CONDITION_KEYS: Readonly<Record<string, string>> = {
  'source.ip': 'address of the direct peer: addresses or CIDRs',
  'remote.ip': 'address of the client behind the trusted proxies: addresses or CIDRs',
  'source.namespace': 'as `namespaces` of a source',
  'source.principal': 'as `principals` of a source',
  'source.serviceAccount': 'as `serviceAccounts` of a source',
  'source.trustDomain': 'as `trustDomains` of a source',
  'destination.ip': 'address that was called: addresses or CIDRs',
  'destination.port': 'port that was called, in quotes',
  'connection.sni': 'server name of the TLS handshake',
  'request.headers[name]': 'a header, each of its values by itself; `*` asks only that it is there. HTTP only',
  'request.headers[:method]': 'the method; with `compatibility: istio` alone, elsewhere use `methods` of an operation',
  'request.headers[:authority]': 'the host; with `compatibility: istio` alone, elsewhere use `hosts` of an operation',
  'request.auth.principal': 'as `requestPrincipals` of a source. HTTP only',
  'request.auth.audiences': 'audiences of the token (`aud`). HTTP only',
  'request.auth.presenter': 'authorized party of the token (`azp`). HTTP only',
  'request.auth.claims[a]': 'a claim of the token: its text, or one of the texts of a list. HTTP only',
  'request.auth.claims[a][b]': 'a claim within a claim, to a depth of eight. HTTP only',
};

const when = checked(
  z.strictObject({
    key: z.string().max(512).regex(CONDITION_KEY, 'is not a known condition key; see docs/reference/authorizationpolicies.md for the list').meta({ description: 'The attribute that is looked at; the keys are below.', keys: CONDITION_KEYS }),
    values: stringList.optional().describe('One of these must match.'),
    notValues: stringList.optional().describe('None of these may match.'),
  }),
  { test: (c) => c.values !== undefined || c.notValues !== undefined, cel: 'has(self.values) || has(self.notValues)', message: 'needs values or notValues' },
  // Not for CEL: its cost would be that of all values of all conditions of all rules.
).superRefine((condition, ctx) => {
  const check = condition.key.endsWith('.ip') ? isIpBlock : condition.key === 'destination.port' ? isPort : null;
  if (check === null) return;
  const message = check === isPort ? 'must be a port number in quotes' : 'must be an IP address or a CIDR such as 10.0.0.0/8';
  for (const list of ['values', 'notValues'] as const) {
    condition[list]?.forEach((value, index) => {
      if (!check(value)) ctx.addIssue({ code: 'custom', path: [list, index], message });
    });
  }
});

const rule = z.strictObject({
  from: z.array(z.strictObject({ source })).min(1).max(512).optional().describe('One of these sources must match. Absent: any.'),
  to: z.array(z.strictObject({ operation })).min(1).max(512).optional().describe('One of these operations must match. Absent: any.'),
  when: z.array(when).min(1).max(64).optional().describe('All of these conditions must hold.'),
});

/** Istio: "CUSTOM … does not support" identity and token fields: the authorizer is asked before they are known. */
const CUSTOM_REFUSES = ['principals', 'serviceAccounts', 'trustDomains', 'namespaces', 'requestPrincipals'].flatMap((name) => [name, `not${name[0]?.toUpperCase()}${name.slice(1)}`]);

function refusedByCustom(spec: { readonly rules?: readonly { readonly from?: readonly { readonly source: object }[] | undefined }[] | undefined }): (string | number)[][] {
  return (spec.rules ?? []).flatMap((each, ruleIndex) => (each.from ?? []).flatMap(({ source: from }, fromIndex) =>
    Object.keys(from).filter((field) => CUSTOM_REFUSES.includes(field)).map((field) => ['rules', ruleIndex, 'from', fromIndex, 'source', field])));
}

/** Istio v1 `AuthorizationPolicy.spec` by name and meaning, and our `enforcement`. */
export const authorizationPolicySpec = checked(
  z.strictObject({
    ...attachment,
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).default('ALLOW').describe('What a match means. DENY beats ALLOW; with any ALLOW policy, what none of them matches is denied. AUDIT only reports. CUSTOM asks an external authorizer.'),
    provider: z.strictObject({ name: dnsLabel.describe('Name of one of `extensionProviders` of the Mesh.') }).optional().describe('The external authorizer. With CUSTOM, and only with it.'),
    rules: z.array(rule).max(512).optional().describe('A match of one of them is a match of the policy. Absent or empty: an ALLOW policy that matches nothing. `[{}]` matches everything.'),
    enforcement: z.enum(['Enforce', 'DryRun']).default('Enforce').describe('A `DryRun` policy is evaluated and reported and never decides. Not in Istio, which has an annotation for it.'),
  }),
  {
    test: (spec) => spec.action === 'ALLOW' || (spec.rules?.length ?? 0) > 0,
    cel: "self.action == 'ALLOW' || (has(self.rules) && size(self.rules) > 0)",
    field: 'rules',
    message: 'only an ALLOW policy may be without rules: another can never match; give it at least one rule ({} matches everything)',
  },
  attachmentCheck,
  {
    test: (spec) => (spec.action === 'CUSTOM') === (spec.provider !== undefined),
    cel: "(self.action == 'CUSTOM') == has(self.provider)",
    field: 'provider',
    message: 'CUSTOM needs a provider, and only CUSTOM has one',
  },
  {
    test: (spec) => spec.action !== 'CUSTOM' || spec.enforcement === 'Enforce',
    cel: "self.action != 'CUSTOM' || self.enforcement == 'Enforce'",
    field: 'enforcement',
    message: "a CUSTOM policy has no dry run: its verdict is the authorizer's",
  },
  {
    test: (spec) => spec.action !== 'CUSTOM' || refusedByCustom(spec).length === 0,
    cel: `self.action != 'CUSTOM' || !has(self.rules) || self.rules.all(r, !has(r.from) || r.from.all(f, !(${CUSTOM_REFUSES.map((field) => `has(f.source.${field})`).join(' || ')})))`,
    field: 'rules',
    message: 'is not available to CUSTOM',
    places: refusedByCustom,
    celMessage: `the sources of a CUSTOM policy cannot use ${CUSTOM_REFUSES.join(', ')}: the authorizer is asked before they are known`,
  },
).describe('Who may reach which workload, and how: Istio’s `AuthorizationPolicy` by name and meaning, with `enforcement`.');

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type AuthorizationRule = NonNullable<AuthorizationPolicySpec['rules']>[number];
export type RuleSource = z.infer<typeof source>;
export type RuleOperation = z.infer<typeof operation>;
export type RuleCondition = z.infer<typeof when>;
