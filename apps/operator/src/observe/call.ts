import type { Universe } from '@sallyport/shared/analysis';
import { type CallProtocol, decidedAs, type MeshWorkload, parseSpiffeId, workloadSpiffeId } from '@sallyport/shared/mesh';

/** A call that names somebody or something that is not there. */
export class CallProblem extends Error {
  override readonly name = 'CallProblem';
  readonly remedy: string | null;
  constructor(message: string, remedy: string | null = null) {
    super(message);
    this.remedy = remedy;
  }
}

/** Where a call goes. */
export interface Destination {
  readonly workload: MeshWorkload;
  readonly port: number;
  /** As what such a call is decided; on an `auto` port HTTP unless the asker says otherwise. */
  readonly protocol: CallProtocol;
}

/**
 * The workload and port of `namespace/name`, where name is a workload's or a service's.
 *
 * @param wanted for a service the service's port; when it has none of that number, the workload's. Absent: the first.
 * @throws CallProblem
 */
export function destinationOf(place: string, wanted: number | undefined, { workloads, services }: Universe): Destination {
  const [namespace, name] = place.split('/');
  const service = services.find((each) => each.namespace === namespace && each.name === name);
  const own = workloads.find((each) => each.namespace === namespace && each.name === name);
  const found = own ?? workloads.find((each) => each.namespace === namespace && service?.workloads.includes(each.name));
  if (!found) throw new CallProblem(`there is no workload or service ${place}`, `name one as namespace/name or namespace/name:port${known(workloads)}`);
  const target = own ? wanted : (service?.ports.find((each) => wanted === undefined || each.port === wanted)?.targetPort ?? wanted);
  const port = found.ports.find((each) => target === undefined || each.port === target) ?? { port: target ?? 8080, protocol: 'http' as const };
  return { workload: found, port: port.port, protocol: decidedAs(port.protocol)[0] };
}

function known(workloads: readonly MeshWorkload[]): string {
  return workloads.length === 0 ? '' : `; known are ${workloads.slice(0, 5).map(({ namespace, name }) => `${namespace}/${name}`).join(', ')}${workloads.length > 5 ? ', …' : ''}`;
}

/**
 * Who calls: a SPIFFE ID, `namespace/workload`, `namespace/service-account`, or null for `plaintext`.
 *
 * @throws CallProblem
 */
export function identityOf(text: string, { workloads }: Universe, trustDomain: string): { principal: string | null; ip: string | null } {
  if (text === 'plaintext') return { principal: null, ip: null };
  if (text.startsWith('spiffe://')) {
    const principal = spiffeIdOf(text);
    return { principal, ip: workloads.find((each) => each.spiffeId === principal)?.address ?? null };
  }
  const [, namespace, name] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) throw new CallProblem(`"${text}" names nobody`, 'give a SPIFFE ID, namespace/workload, namespace/service-account or plaintext');
  const workload = workloads.find((each) => each.namespace === namespace && each.name === name);
  return { principal: workload?.spiffeId ?? accountId(trustDomain, namespace, name), ip: workload?.address ?? null };
}

function spiffeIdOf(text: string): string {
  try {
    return parseSpiffeId(text).uri;
  } catch (error) {
    throw new CallProblem(`"${text}" is no SPIFFE ID: ${error instanceof Error ? error.message : ''}`);
  }
}

function accountId(trustDomain: string, namespace: string, name: string): string {
  try {
    return parseSpiffeId(workloadSpiffeId(trustDomain, namespace, name)).uri;
  } catch {
    throw new CallProblem(`"${namespace}/${name}" names nobody`, 'give a SPIFFE ID, namespace/workload, namespace/service-account or plaintext');
  }
}

/** Header values by their names in lower case. */
export function headersOf(list: readonly { readonly name: string; readonly value: string }[]): Record<string, string[]> {
  const headers = new Map<string, string[]>();
  for (const { name, value } of list) headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]);
  return Object.fromEntries(headers);
}

/** Claims whose text is a list divided by spaces, whatever the issuer. */
export const SPACE_DELIMITED = ['scope', 'permission'] as const;
