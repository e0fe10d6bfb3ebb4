import { z } from 'zod';
import { ipBlock, matchList, stringList } from './match.ts';
import { workloadSelector } from './meta.ts';

const ipBlocks = z.array(ipBlock).min(1).max(512);
const portList = z
  .array(z.string().regex(/^([1-9][0-9]{0,4})$/, 'must be a port number in quotes'))
  .min(1)
  .max(64);
/** Service accounts have no wildcards in Istio: `name` or `namespace/name`. */
const serviceAccounts = z
  .array(z.string().max(127).regex(/^([a-z0-9-]+\/)?[a-z0-9.-]+$/, 'must be name or namespace/name, without wildcards'))
  .min(1)
  .max(512);
const methods = z
  .array(z.string().regex(/^(\*|\*?[A-Z-]+\*?)$/, 'must be upper case, as methods are on the wire'))
  .min(1)
  .max(32);

const source = z.strictObject({
  principals: matchList.optional(),
  notPrincipals: matchList.optional(),
  serviceAccounts: serviceAccounts.optional(),
  notServiceAccounts: serviceAccounts.optional(),
  namespaces: matchList.optional(),
  notNamespaces: matchList.optional(),
  ipBlocks: ipBlocks.optional(),
  notIpBlocks: ipBlocks.optional(),
});

const operation = z.strictObject({
  hosts: matchList.optional(),
  notHosts: matchList.optional(),
  ports: portList.optional(),
  notPorts: portList.optional(),
  methods: methods.optional(),
  notMethods: methods.optional(),
  paths: stringList.optional(),
  notPaths: stringList.optional(),
});

const CONDITION_KEY =
  /^(source\.(ip|namespace|principal|serviceAccount)|destination\.(ip|port)|connection\.sni|request\.headers\[[A-Za-z0-9!#$%&'*+.^_`|~-]+\])$/;

const when = z
  .strictObject({
    key: z
      .string()
      .max(256)
      .regex(CONDITION_KEY, 'is not a known condition key; see docs/reference for the list'),
    values: stringList.optional(),
    notValues: stringList.optional(),
  })
  .refine((c) => c.values !== undefined || c.notValues !== undefined, 'needs values or notValues');

const rule = z.strictObject({
  from: z.array(z.strictObject({ source })).min(1).max(512).optional(),
  to: z.array(z.strictObject({ operation })).min(1).max(512).optional(),
  when: z.array(when).min(1).max(64).optional(),
});

/** Istio v1 `AuthorizationPolicy.spec` by name and meaning; fields that are not evaluated yet are refused. */
export const authorizationPolicySpec = z
  .strictObject({
    selector: workloadSelector.optional(),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT']).default('ALLOW'),
    rules: z.array(rule).max(512).optional(),
    /** `DryRun` policies are evaluated and reported and never decide. */
    enforcement: z.enum(['Enforce', 'DryRun']).default('Enforce'),
  })
  .refine((spec) => spec.action === 'ALLOW' || (spec.rules?.length ?? 0) > 0, {
    path: ['rules'],
    message: 'a DENY or AUDIT policy without rules can never match; give it at least one rule ({} matches everything)',
  });

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type AuthorizationRule = NonNullable<AuthorizationPolicySpec['rules']>[number];
export type RuleSource = z.infer<typeof source>;
export type RuleOperation = z.infer<typeof operation>;
export type RuleCondition = z.infer<typeof when>;
