import { admissionProblems, compileRule, Facts, principalPatterns } from '../../policy/index.ts';
import { pathClasses } from '../classes/paths.ts';
import { usualRequest } from '../diff/fields.ts';
import { type Check, forClauses, type LintContext, type Remark } from './context.ts';

/** What the store would refuse. Files may hold it. */
export const refused: Check = ({ policy, set, universe }) =>
  admissionProblems(policy, { mesh: set.mesh, ...(universe.services.length > 0 ? { serviceExists: (namespace: string, name: string) => universe.services.some((service) => service.namespace === namespace && service.name === name) } : {}) })
    .map(({ field, message }) => ({ field, message: `would be refused: ${message}`, remedy: 'correct the field; nothing can be applied until then' }));

/** A path that no normal form has, or (where it is not refused) a method in lower case: no request ever has it. */
export const deadValue: Check = (context) => forClauses(context, ({ subject, field, values }): Remark[] => {
  if (subject === 'methods' && context.set.mesh.compatibility === 'istio') {
    return values.filter((value) => /[a-z]/.test(value)).map((value) => ({ field, message: `methods are in upper case on the wire, so ${value} never matches`, remedy: `write ${value.toUpperCase()}` }));
  }
  if (subject !== 'paths') return [];
  return values.filter((value) => !pathSeen(value, context)).map((value) => ({
    field, message: `no path in normal form matches ${value}, so it never matches`, remedy: 'write the path as it is after normalisation: without //, dot segments or escaped slashes',
  }));
});

function pathSeen(value: string, { set }: LintContext): boolean {
  const test = compileRule({ to: [{ operation: { paths: [value] } }] }, { mesh: set.mesh, namespace: '', action: 'DENY', protocol: 'http' });
  const base = usualRequest({ address: '10.0.0.1' }, 'http', 80, set.mesh);
  const facts = new Facts();
  return pathClasses([value], [set.mesh]).values.some((path) => {
    facts.load({ ...base, http: { method: 'GET', host: '', headers: {}, path: path.value as NonNullable<typeof base.http>['path'] } });
    return test?.(facts) ?? false;
  });
}

/** Istio compares hosts with their port: `h` is not `h:8080`. */
export const hostWithoutPort: Check = (context) =>
  context.set.mesh.compatibility !== 'istio' ? [] : forClauses(context, ({ subject, field, values }) => {
    const bare = subject === 'hosts' ? values.filter((value) => !value.includes('*') && !/:\d+$/.test(value) && !values.some((other) => other.startsWith(`${value}:`))) : [];
    return bare.map((value) => ({ field, message: `with compatibility: istio ${value} does not match ${value}:8080${context.policy.spec.action === 'DENY' ? ', so a port in the Host header evades the rule' : ''}`, remedy: `add ${value}:*` }));
  });

/** Istio writes the scheme itself. */
export const schemeInPrincipal: Check = (context) =>
  context.set.mesh.compatibility !== 'istio' ? [] : forClauses(context, ({ subject, field, values }) =>
    (subject === 'principals' || subject === 'source.principal' ? values.filter((value) => value.startsWith('spiffe://')) : [])
      .map((value) => ({ field, message: `with compatibility: istio a principal has no scheme, so ${value} never matches`, remedy: `write ${value.slice('spiffe://'.length)}` })));

/** An exact identity of our own trust domain that no workload has. */
export const unknownIdentity: Check = (context) => {
  const { workloads } = context.universe;
  if (workloads.length === 0) return [];
  const known = new Set(workloads.map(({ spiffeId }) => spiffeId.slice('spiffe://'.length)));
  const accounts = new Set(workloads.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`));
  const namespaces = new Set(workloads.map(({ namespace }) => namespace));
  const own = context.policy.metadata.namespace ?? '';
  const remedy = 'correct the spelling, or register the workload first';
  return forClauses(context, ({ subject, field, values }) => values.filter((value) => !value.includes('*')).flatMap((value): Remark[] => {
    if (subject === 'principals' || subject === 'source.principal') {
      const expanded = principalPatterns([value.replace(/^spiffe:\/\//, '')], context.set.mesh);
      const ours = expanded.some((text) => text.startsWith(`${context.set.mesh.trustDomain}/ns/`));
      return ours && !expanded.some((text) => known.has(text)) ? [{ field, message: `no workload has the identity ${value}`, remedy }] : [];
    }
    if (subject === 'serviceAccounts' || subject === 'source.serviceAccount') {
      const account = value.includes('/') ? value : `${own}/${value}`;
      return accounts.has(account) ? [] : [{ field, message: `no workload runs as service account ${account}`, remedy }];
    }
    const isNamespace = subject === 'namespaces' || subject === 'source.namespace';
    return isNamespace && !namespaces.has(value) ? [{ field, message: `no workload is in namespace ${value}`, remedy }] : [];
  }));
};
