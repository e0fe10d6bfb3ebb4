/**
 * How long a comparison of two sets of 1,000 policies takes: printed, not asserted.
 * Run: node_modules/.bin/node bench/policy-diff.ts
 */
import { diff, type PolicySet, type Universe } from '@sallyport/shared/analysis';
import type { MeshWorkload } from '@sallyport/shared/mesh';
import { authorizationPolicy, type AuthorizationPolicy, mesh } from '@sallyport/shared/resources';

const API = 'sallyport.dev/v1alpha1';
const COUNT = 1000;
const MESH = mesh.parse({ apiVersion: API, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: 'shop.test' } }).spec;

const policy = (name: string, spec: object): AuthorizationPolicy => authorizationPolicy.parse({ apiVersion: API, kind: 'AuthorizationPolicy', metadata: { name, namespace: 'shop' }, spec });
const workload = (name: string): MeshWorkload => ({
  namespace: 'shop', name, labels: { app: name }, serviceAccount: name, spiffeId: `spiffe://shop.test/ns/shop/sa/${name}`, address: '10.0.0.1', proxy: 'node-a',
  ports: [{ port: 8080, protocol: 'http' }, { port: 9090, protocol: 'tcp' }],
});
const set = (authorizationPolicies: AuthorizationPolicy[]): PolicySet => ({ mesh: MESH, authorizationPolicies, peerAuthentications: [] });
const numbers = Array.from({ length: COUNT }, (_, index) => index);

/** Every tenth policy says something else than before. */
const changed = (index: number, round: number) => round === 1 && index % 10 === 0;

/** One policy a workload, with two callers, methods and a path template. */
function manyWorkloads(round: number): PolicySet {
  return set(numbers.map((index) => policy(`p${index}`, {
    selector: { matchLabels: { app: `w${index}` } },
    rules: [{
      from: [{ source: { principals: [`shop.test/ns/shop/sa/w${(index + 1) % COUNT}`, `shop.test/ns/shop/sa/w${(index + 7) % COUNT}`] } }],
      to: [{ operation: { ports: ['8080'], methods: changed(index, round) ? ['GET', 'POST'] : ['GET'], paths: [`/api/v${index % 5}/{*}`] } }],
    }],
  })));
}

/** All on one workload: each policy names one caller and one path. `all` changes every policy. */
function oneWorkload(round: number, all = false): PolicySet {
  return set(numbers.map((index) => policy(`p${index}`, {
    rules: [{ from: [{ source: { principals: [`shop.test/ns/shop/sa/w${index}`] } }], to: [{ operation: { methods: [changed(index, round) || (all && round === 1) ? 'POST' : 'GET'], paths: [`/api/v1/things/t${index}`] } }] }],
  })));
}

/** The hard kind: prefixes, suffixes, templates, DENY over ALLOW and headers on one workload. */
function mixed(round: number): PolicySet {
  return set(numbers.map((index) => policy(`p${index}`, {
    action: index % 4 === 0 ? 'DENY' : 'ALLOW',
    rules: [{
      from: [{ source: index % 3 === 0 ? { namespaces: [`team-${index % 40}`] } : { principals: [`shop.test/ns/team-${index % 40}/sa/w${index}`] } }],
      to: [{ operation: { methods: changed(index, round) ? ['PUT'] : ['GET', 'POST'], paths: [index % 5 === 0 ? `/t${index}/*` : index % 5 === 1 ? `/t${index}/{*}/x` : `/t${index}/y`, ...(index % 50 === 0 ? [`*.s${index}`] : [])] } }],
      ...(index % 7 === 0 ? { when: [{ key: 'request.headers[x-env]', values: [index % 2 === 0 ? 'prod' : 'test*'] }] } : {}),
    }],
  })));
}

/** The same rules in as few policies as hold them. */
function merged({ authorizationPolicies }: PolicySet): PolicySet {
  const rules = authorizationPolicies.flatMap(({ spec }) => spec.rules ?? []);
  return set([policy('first', { rules: rules.slice(0, 512) }), policy('second', { rules: rules.slice(512) })]);
}

function run(name: string, before: PolicySet, after: PolicySet, universe: Universe): void {
  const began = performance.now();
  const { changes, more, complete, equal, workloads } = diff(before, after, universe);
  const ms = Math.round(performance.now() - began);
  console.log(`${name.padEnd(58)} ${String(ms).padStart(6)} ms   ${equal ? 'no difference' : `${changes.length + more} classes`} on ${workloads.changed} of ${workloads.compared} workloads${complete ? '' : ' (INCOMPLETE)'}`);
}

const many: Universe = { workloads: numbers.map((index) => workload(`w${index}`)), services: [] };
const one: Universe = { workloads: [workload('target')], services: [] };
run('1,000 policies on 1,000 workloads, same', manyWorkloads(0), manyWorkloads(0), many);
run('1,000 policies on 1,000 workloads, 100 changed', manyWorkloads(0), manyWorkloads(1), many);
run('1,000 policies on one workload, same in another order', oneWorkload(0), set([...oneWorkload(0).authorizationPolicies].reverse()), one);
run('1,000 policies on one workload against the same in 2', oneWorkload(0), merged(oneWorkload(0)), one);
run('1,000 policies on one workload, 100 changed', oneWorkload(0), oneWorkload(1), one);
run('1,000 policies on one workload, all changed', oneWorkload(0), oneWorkload(1, true), one);
run('1,000 mixed policies on one workload, 100 changed', mixed(0), mixed(1), one);
