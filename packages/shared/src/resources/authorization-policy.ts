import { z } from 'zod';
import { ipBlock, isIpBlock, isPort, pathTemplateProblem, stringList } from './match.ts';
import { dnsLabel, targetRefs, workloadSelector } from './meta.ts';

const ipBlocks = z.array(ipBlock).min(1).max(512);
const portList = z.array(z.string().refine(isPort, 'must be a port number in quotes')).min(1).max(64);
/** Service accounts have no wildcards in Istio: `name` or `namespace/name`. */
const serviceAccounts = z
  .array(z.string().max(320).regex(/^([a-z0-9-]+\/)?[a-z0-9.-]+$/, 'must be name or namespace/name, without wildcards'))
  .min(1)
  .max(512);
const paths = z
  .array(z.string().min(1).max(1024).superRefine((path, ctx) => {
    const problem = pathTemplateProblem(path);
    if (problem !== null) ctx.addIssue({ code: 'custom', message: problem });
  }))
  .min(1)
  .max(512);

const notEmpty = (value: object) => Object.keys(value).length > 0;

const source = z
  .strictObject({
    principals: stringList.optional(),
    notPrincipals: stringList.optional(),
    serviceAccounts: serviceAccounts.optional(),
    notServiceAccounts: serviceAccounts.optional(),
    trustDomains: stringList.optional(),
    notTrustDomains: stringList.optional(),
    namespaces: stringList.optional(),
    notNamespaces: stringList.optional(),
    ipBlocks: ipBlocks.optional(),
    notIpBlocks: ipBlocks.optional(),
    remoteIpBlocks: ipBlocks.optional(),
    notRemoteIpBlocks: ipBlocks.optional(),
    requestPrincipals: stringList.optional(),
    notRequestPrincipals: stringList.optional(),
  })
  .refine(notEmpty, 'must name at least one field; leave `from` out to match every source');

const operation = z
  .strictObject({
    hosts: stringList.optional(),
    notHosts: stringList.optional(),
    ports: portList.optional(),
    notPorts: portList.optional(),
    methods: stringList.optional(),
    notMethods: stringList.optional(),
    paths: paths.optional(),
    notPaths: paths.optional(),
  })
  .refine(notEmpty, 'must name at least one field; leave `to` out to match every operation');

/** Keys of `when`, as Istio v1 names them; headers and claims carry a name in brackets. */
const CONDITION_KEY =
  /^((source|remote)\.ip|source\.(namespace|principal|serviceAccount|trustDomain)|destination\.(ip|port)|connection\.sni|request\.headers\[(:method|:authority|[A-Za-z0-9!#$%&'*+.^_`|~-]+)\]|request\.auth\.(principal|audiences|presenter)|request\.auth\.claims(\[[^[\]]+\]){1,8})$/;

const when = z
  .strictObject({
    key: z.string().max(512).regex(CONDITION_KEY, 'is not a known condition key; see docs/reference/authorizationpolicies.md for the list'),
    values: stringList.optional(),
    notValues: stringList.optional(),
  })
  .refine((c) => c.values !== undefined || c.notValues !== undefined, 'needs values or notValues')
  .superRefine((condition, ctx) => {
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
  from: z.array(z.strictObject({ source })).min(1).max(512).optional(),
  to: z.array(z.strictObject({ operation })).min(1).max(512).optional(),
  when: z.array(when).min(1).max(64).optional(),
});

/** Istio: "CUSTOM … does not support" identity and token fields: the authorizer is asked before they are known. */
const CUSTOM_REFUSES = ['principals', 'serviceAccounts', 'trustDomains', 'namespaces', 'requestPrincipals'].flatMap((name) => [name, `not${name[0]?.toUpperCase()}${name.slice(1)}`]);

/** Istio v1 `AuthorizationPolicy.spec` by name and meaning, and our `enforcement`. */
export const authorizationPolicySpec = z
  .strictObject({
    selector: workloadSelector.optional(),
    targetRefs,
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).default('ALLOW'),
    /** For CUSTOM: one of `extensionProviders` of the Mesh. */
    provider: z.strictObject({ name: dnsLabel }).optional(),
    rules: z.array(rule).max(512).optional(),
    /** `DryRun` policies are evaluated and reported and never decide. */
    enforcement: z.enum(['Enforce', 'DryRun']).default('Enforce'),
  })
  .refine((spec) => spec.action === 'ALLOW' || (spec.rules?.length ?? 0) > 0, {
    path: ['rules'],
    message: 'only an ALLOW policy may be without rules: another can never match; give it at least one rule ({} matches everything)',
  })
  .refine((spec) => spec.selector === undefined || spec.targetRefs === undefined, {
    path: ['targetRefs'],
    message: 'selector and targetRefs exclude each other',
  })
  .refine((spec) => (spec.action === 'CUSTOM') === (spec.provider !== undefined), {
    path: ['provider'],
    message: 'CUSTOM needs a provider, and only CUSTOM has one',
  })
  .refine((spec) => spec.action !== 'CUSTOM' || spec.enforcement === 'Enforce', {
    path: ['enforcement'],
    message: 'a CUSTOM policy has no dry run: its verdict is the authorizer\'s',
  })
  .superRefine((spec, ctx) => {
    spec.rules?.forEach((each, ruleIndex) => {
      each.from?.forEach(({ source: from }, fromIndex) => {
        for (const field of Object.keys(from)) {
          const path = ['rules', ruleIndex, 'from', fromIndex, 'source', field];
          if (spec.action === 'CUSTOM' && CUSTOM_REFUSES.includes(field)) ctx.addIssue({ code: 'custom', path, message: 'is not available to CUSTOM' });
          // Istio: "serviceAccounts … cannot be set with principals or namespaces".
          if (/^s|^notS/.test(field) && (from.principals ?? from.notPrincipals ?? from.namespaces ?? from.notNamespaces)) {
            ctx.addIssue({ code: 'custom', path, message: 'cannot stand beside principals or namespaces: a service account names its namespace itself' });
          }
        }
      });
    });
  });

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type AuthorizationRule = NonNullable<AuthorizationPolicySpec['rules']>[number];
export type RuleSource = z.infer<typeof source>;
export type RuleOperation = z.infer<typeof operation>;
export type RuleCondition = z.infer<typeof when>;
