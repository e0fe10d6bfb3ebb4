import { authenticate, compileAuthentication, compileWorkloadPolicy, decideTarget, type PresentedToken } from '@sallyport/shared/policy';
import { API_VERSION, authorizationPolicy, InvalidResourceError, type MeshSpec, meshSpec, parseManifest, requestAuthentication } from '@sallyport/shared/resources';

/**
 * `node bench/policy/adversarial.ts`: how long the worst inputs take that we could think of. One line each: the first
 * run and the best of five. A request may not take over 10 ms; a manifest may take longer, in proportion to its size.
 */
const LENGTH = 64 * 1024;
const LIMIT_MS = 10;
const META = { name: 'p', namespace: 'pay' };
const MODES = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const;
const MESHES: readonly MeshSpec[] = (['sallyport', 'istio'] as const).flatMap((compatibility) => MODES.map((pathNormalization) => meshSpec.parse({ trustDomain: 'td', compatibility, pathNormalization })));

let over = 0;

function line(name: string, bytes: number, run: () => void, limit: number): void {
  const times = Array.from({ length: 6 }, () => {
    const begin = performance.now();
    run();
    return performance.now() - begin;
  });
  const [first = 0, ...rest] = times;
  const best = Math.min(...rest);
  if (best > limit) over += 1;
  console.log(`${best > limit ? 'OVER' : 'ok  '} ${name.padEnd(48)} ${String(bytes).padStart(8)} bytes  first ${first.toFixed(2).padStart(8)} ms  best ${best.toFixed(2).padStart(8)} ms`);
}

const filled = (unit: string) => `/${unit.repeat(Math.ceil(LENGTH / unit.length))}`.slice(0, LENGTH);
const policyOf = (rules: object[]) => authorizationPolicy.parse({ apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: META, spec: { rules } });

function requests(): void {
  // 512 patterns of each kind that no index holds, with as many segments as fit.
  const long = (tail: string) => `/${'{*}/'.repeat(250)}${tail}`;
  const patterns = [...Array.from({ length: 256 }, (_, n) => long(`x${n}`)), ...Array.from({ length: 255 }, (_, n) => `*${'a'.repeat(n + 1)}b`), '/a/{**}/b'];
  const rules = [{ to: [{ operation: { paths: patterns } }] }, { from: [{ source: { ipBlocks: Array.from({ length: 512 }, (_, n) => `10.${n % 256}.${n >> 8}.0/24`) } }] }];
  for (const unit of ['/../', '/..', '/./', '%2e%2e/', '/%2e%2E', '%2f', '%5c..', '\\..', '//', '/a/..', '%', '%25', '{**}/', '/a', '/aaaaaaaaa', 'a', 'é', ';/']) {
    let worst = { mesh: MESHES[0], time: -1 };
    for (const mesh of MESHES) {
      const run = decide(mesh, [policyOf(rules)], filled(unit));
      run();
      const begin = performance.now();
      run();
      if (performance.now() - begin > worst.time) worst = { mesh, time: performance.now() - begin };
    }
    if (worst.mesh) line(`path of "${unit}" (${worst.mesh.compatibility}, ${worst.mesh.pathNormalization})`, LENGTH, decide(worst.mesh, [policyOf(rules)], filled(unit)), LIMIT_MS);
  }
  const [mesh] = MESHES;
  if (mesh === undefined) return;
  const values = Array.from({ length: 2_000 }, (_, n) => `v${n}`);
  line('2,000 headers of 2,000 values', 4_000_000, decide(mesh, [policyOf([{ when: [{ key: 'request.headers[x-1]', values: Array.from({ length: 512 }, (_, n) => `*y${n}`) }] }])], '/', Object.fromEntries(values.map((name) => [`x-${name.slice(1)}`, values]))), LIMIT_MS);
  line('a principal of 64 kB', LENGTH, decide(mesh, [policyOf(rules)], '/', {}, `spiffe://td${filled('a/')}`), LIMIT_MS);
  line('a host of 64 kB', LENGTH, decide(mesh, [policyOf([{ to: [{ operation: { hosts: ['h'] } }] }])], '/', {}, null, `${'h:'.repeat(LENGTH / 2)}80`), LIMIT_MS);
}

function decide(mesh: MeshSpec, authorizationPolicies: ReturnType<typeof policyOf>[], target: string, headers: Record<string, string[]> = {}, principal: string | null = null, host = 'h') {
  const compiled = compileWorkloadPolicy({ mesh, workload: { namespace: 'pay', labels: {} }, authorizationPolicies, peerAuthentications: [] });
  return () => void decideTarget(compiled, { protocol: 'http', source: { principal, ip: '10.0.0.1' }, destination: { ip: '10.0.0.2', port: 80 }, http: { method: 'GET', host, target, headers } });
}

function tokens(): void {
  const jwtRules = Array.from({ length: 64 }, (_, n) => ({ issuer: `https://i${n}`, audiences: Array.from({ length: 64 }, (__, m) => `https://a${m}/`) }));
  const authentication = requestAuthentication.parse({ apiVersion: API_VERSION, kind: 'RequestAuthentication', metadata: META, spec: { jwtRules } });
  for (const mesh of [MESHES[0], MESHES[4]]) {
    if (mesh === undefined) continue;
    const rules = compileAuthentication({ mesh, workload: { namespace: 'pay', labels: {} }, authorizationPolicies: [], peerAuthentications: [], requestAuthentications: [authentication] });
    const token: PresentedToken = { location: { kind: 'header', name: 'authorization', prefix: 'Bearer ' }, claims: { iss: 'https://i63', aud: Array.from({ length: 2_000 }, (_, n) => `https://b${n}/`) }, validity: () => 'valid' };
    line(`64 token rules, an audience of 2,000 (${mesh.compatibility})`, 40_000, () => void authenticate(rules, [token, token], mesh.compatibility), LIMIT_MS);
  }
}

function manifests(): void {
  const samples: Record<string, string> = {
    'nested lists': '['.repeat(LENGTH), 'nested maps': '{a: '.repeat(LENGTH / 4), 'many keys': Array.from({ length: LENGTH / 8 }, (_, n) => `k${n}: 1`).join('\n'), 'many tags': '!a '.repeat(LENGTH / 3),
    'many anchors': Array.from({ length: LENGTH / 12 }, (_, n) => `- &a${n} x`).join('\n'), aliases: `a: &a [1]\n${'b: [*a, *a]\n'.repeat(100)}`, comments: '#\n'.repeat(LENGTH / 2),
    'a policy of 500 rules': `apiVersion: ${API_VERSION}\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: pay}\nspec:\n  rules:\n${"  - {to: [{operation: {methods: [GET], paths: ['/a/{*}/b', '/c/*']}}], from: [{source: {principals: ['td/ns/a/sa/b']}}]}\n".repeat(500)}`,
  };
  for (const [name, text] of Object.entries(samples)) {
    // 1 MiB may take 2 s: what is no slower than that grows no faster than the text.
    line(`manifest: ${name}`, text.length, () => {
      try {
        parseManifest(text);
      } catch (error) {
        if (!(error instanceof InvalidResourceError)) throw error;
      }
    }, (2_000 * text.length) / 1_048_576);
  }
}

requests();
tokens();
manifests();
process.exitCode = over > 0 ? 1 : 0;
