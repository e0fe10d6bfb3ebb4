import type { MeshWorkload } from '@sallyport/shared/mesh';
import type { RawRequest, VerifiedToken } from '@sallyport/shared/policy';
import { CallProblem, type Destination, destinationOf as destination, headersOf, identityOf as identity, SPACE_DELIMITED } from '../../observe/call.ts';
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
export function destinationOf(text: string, { universe }: Material): Destination {
  const [, place = text, portText] = /^([^/]+\/[^/:]+)(?::(\d+))?$/.exec(text) ?? [];
  return told(() => destination(place, portText === undefined ? undefined : Number(portText), universe));
}

/** A SPIFFE ID, `namespace/workload`, `namespace/service-account`, or null for `plaintext`. */
export function identityOf(text: string, { universe, policies }: Material): { principal: string | null; ip: string | null } {
  return told(() => identity(text, universe, policies.mesh.trustDomain));
}

/** Tells the person at the terminal what is wrong with a call. */
function told<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CallProblem) throw new CliFailure(EXIT.usage, error.message, error.remedy);
    throw error;
  }
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
  const http = { method: options.method, host: options.host ?? `${workload.name}.${workload.namespace}`, target: options.path, headers: headersOf((options.header ?? []).map(headerOf)) };
  return { workload, request: { protocol: 'http', ...base, http, token: options.claims === undefined ? null : tokenOf(options.claims) } };
}

function headerOf(text: string): { name: string; value: string } {
  const [, name, value = ''] = /^([^:=\s]+)\s*[:=]\s*(.*)$/.exec(text) ?? [];
  if (name === undefined) throw new CliFailure(EXIT.usage, `header "${text}" is not NAME=VALUE`);
  return { name, value };
}

function tokenOf(text: string): VerifiedToken {
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return { claims: claims as Record<string, unknown>, spaceDelimited: SPACE_DELIMITED };
  } catch {
    // Told below.
  }
  throw new CliFailure(EXIT.usage, '--claims is not a JSON object', `for example --claims '{"iss": "https://issuer", "sub": "ann"}'`);
}
