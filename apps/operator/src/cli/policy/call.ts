import { type MeshWorkload, parseSpiffeId, workloadSpiffeId } from '@sallyport/shared/mesh';
import type { RawRequest, VerifiedToken } from '@sallyport/shared/policy';
import { CliFailure, EXIT } from '../failure.ts';
import type { Material } from './load.ts';

/** Options that describe one call. */
export interface CallOptions {
  readonly to: string;
  readonly from: string;
  readonly method: string;
  readonly path: string;
  readonly host?: string;
  readonly header?: string[];
  readonly ip?: string;
  readonly remoteIp?: string;
  readonly sni?: string;
  readonly claims?: string;
  readonly tcp?: boolean;
}

/** The workload and port of `namespace/name[:port]`, where name is a workload's or a service's. */
export function destinationOf(text: string, { universe }: Material): { workload: MeshWorkload; port: number; protocol: 'http' | 'tcp' } {
  const [, namespace = '', name = '', portText] = /^([^/]+)\/([^/:]+)(?::(\d+))?$/.exec(text) ?? [];
  const service = universe.services.find((each) => each.namespace === namespace && each.name === name);
  const found = universe.workloads.find((each) => each.namespace === namespace && (each.name === name || service?.workloads.includes(each.name)));
  if (!found) throw new CliFailure(EXIT.usage, `there is no workload or service ${text}`, `name one as namespace/name or namespace/name:port${known(universe.workloads)}`);
  const wanted = portText === undefined ? undefined : Number(portText);
  const target = found.name === name ? wanted : (service?.ports.find((each) => wanted === undefined || each.port === wanted)?.targetPort ?? wanted);
  const port = found.ports.find((each) => target === undefined || each.port === target) ?? { port: target ?? 8080, protocol: 'http' as const };
  return { workload: found, ...port };
}

function known(workloads: readonly MeshWorkload[]): string {
  return workloads.length === 0 ? '' : `; known are ${workloads.slice(0, 5).map(({ namespace, name }) => `${namespace}/${name}`).join(', ')}${workloads.length > 5 ? ', …' : ''}`;
}

/** A SPIFFE ID, `namespace/workload`, `namespace/service-account`, or null for `plaintext`. */
export function identityOf(text: string, { universe, policies }: Material): { principal: string | null; ip: string | null } {
  if (text === 'plaintext') return { principal: null, ip: null };
  if (text.startsWith('spiffe://')) {
    try {
      return { principal: parseSpiffeId(text).uri, ip: null };
    } catch (error) {
      throw new CliFailure(EXIT.usage, `"${text}" is no SPIFFE ID: ${error instanceof Error ? error.message : ''}`);
    }
  }
  const [, namespace, name] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) throw new CliFailure(EXIT.usage, `"${text}" names nobody`, 'give a SPIFFE ID, namespace/workload, namespace/service-account or plaintext');
  const workload = universe.workloads.find((each) => each.namespace === namespace && each.name === name);
  return { principal: workload?.spiffeId ?? workloadSpiffeId(policies.mesh.trustDomain, namespace, name), ip: workload?.address ?? null };
}

/** The call that the options describe, and whom it is for. */
export function callOf(options: CallOptions, material: Material): { workload: MeshWorkload; request: RawRequest } {
  const { workload, port, protocol } = destinationOf(options.to, material);
  const { principal, ip } = identityOf(options.from, material);
  const base = {
    source: { principal, ip: options.ip ?? ip ?? '10.0.0.1', ...(options.remoteIp === undefined ? {} : { remoteIp: options.remoteIp }) },
    destination: { ip: workload.address, port },
    ...(options.sni === undefined ? {} : { sni: options.sni }),
  };
  if (options.tcp === true || protocol === 'tcp') return { workload, request: { protocol: 'tcp', ...base } };
  const http = { method: options.method, host: options.host ?? `${workload.name}.${workload.namespace}`, target: options.path, headers: headersOf(options.header ?? []) };
  return { workload, request: { protocol: 'http', ...base, http, token: options.claims === undefined ? null : tokenOf(options.claims) } };
}

function headersOf(texts: readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const text of texts) {
    const [, name, value = ''] = /^([^:=\s]+)\s*[:=]\s*(.*)$/.exec(text) ?? [];
    if (name === undefined) throw new CliFailure(EXIT.usage, `header "${text}" is not NAME=VALUE`);
    (headers[name.toLowerCase()] ??= []).push(value);
  }
  return headers;
}

function tokenOf(text: string): VerifiedToken {
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return { claims: claims as Record<string, unknown>, spaceDelimited: ['scope', 'permission'] };
  } catch {
    // Told below.
  }
  throw new CliFailure(EXIT.usage, '--claims is not a JSON object', `for example --claims '{"iss": "https://issuer", "sub": "ann"}'`);
}
