import { decidedAs } from '../../mesh/index.ts';
import { compileRule, effectiveMtls, Facts, type RuleContext } from '../../policy/index.ts';
import { usualRequest } from '../diff/fields.ts';
import { compileFor } from '../model.ts';
import { type Check, isIdentity, type LintContext, type LintedRule } from './context.ts';

/** A selector or reference that fits no workload. Says nothing when no workload is known at all. */
export const selectsNothing: Check = ({ policy, targets, universe }) => {
  if (universe.workloads.length === 0 || targets.length > 0) return [];
  const field = policy.spec.targetRefs ? 'spec.targetRefs' : policy.spec.selector ? 'spec.selector' : 'metadata.namespace';
  return [{ field, message: 'bears on no workload', remedy: 'correct the namespace, the selector or the reference, or delete the policy' }];
};

/** Istio drops an ALLOW rule with an HTTP field on a TCP port, and of a DENY rule just that field. */
export const httpOnTcp: Check = (context) => context.rules.flatMap((rule) => {
  const ruleContext = contextFor(context, 'tcp');
  const first = rule.clauses.find((clause) => compileRule(clause.alone, { ...ruleContext, action: 'ALLOW' }) === null);
  const meant = context.targets.flatMap((workload) => workload.ports.filter(({ port, protocol }) => decidedAs(protocol).includes('tcp') && mayMeanPort(rule, port, context)));
  const ports = [...new Set(meant.map(({ port, protocol }) => (protocol === 'auto' ? `${port} (auto, when a connection is no HTTP)` : String(port))))];
  if (first === undefined || ports.length === 0) return [];
  const where = `TCP port ${ports.join(', ')}`;
  return context.policy.spec.action === 'DENY' || context.policy.spec.action === 'CUSTOM'
    ? [{ field: first.field, message: `on ${where} there is no HTTP, so the rule loses this field there and matches more than it says`, remedy: 'limit the operation to the HTTP ports with ports, and write a rule without HTTP fields for the others' }]
    : [{ field: first.field, message: `on ${where} there is no HTTP, so the rule never matches there`, remedy: 'write a rule of its own, without HTTP fields, for that port' }];
});

/** False when the rule names ports and this is none of them. */
function mayMeanPort({ clauses }: LintedRule, port: number, context: LintContext): boolean {
  const facts = new Facts();
  facts.load(usualRequest({ address: '10.0.0.1' }, 'tcp', port, context.set.mesh));
  const about = clauses.filter(({ subject }) => subject === 'ports' || subject === 'destination.port');
  return about.length === 0 || about.some((clause) => compileRule(clause.alone, contextFor(context, 'tcp'))?.(facts) === true);
}

function contextFor({ set, policy }: LintContext, protocol: RuleContext['protocol']): RuleContext {
  return { mesh: set.mesh, namespace: policy.metadata.namespace ?? '', action: policy.spec.action, protocol };
}

/** Whoever is denied by name can come without one wherever plaintext is taken. */
export const evadedByPlaintext: Check = (context) => {
  if (context.policy.spec.action !== 'DENY') return [];
  const open = context.targets.flatMap((workload) => {
    const compiled = compileFor(context.set, workload, context.universe.services);
    return workload.ports.filter(({ port }) => effectiveMtls(compiled, port).mode !== 'STRICT').map(({ port }) => `${workload.namespace}/${workload.name}:${port}`);
  });
  if (open.length === 0) return [];
  const places = `${open.slice(0, 3).join(', ')}${open.length > 3 ? ` and ${open.length - 3} more` : ''}`;
  return context.rules.flatMap(({ clauses }) => {
    const named = clauses.find((clause) => isIdentity(clause) && !clause.negative);
    return named === undefined ? [] : [{ field: named.field, message: `${places}: plaintext is taken too, and shows no identity: whoever is meant evades the rule by not showing a certificate`, remedy: 'make those ports STRICT, or allow by identity instead of denying' }];
  });
};
