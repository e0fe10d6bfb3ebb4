import type { Lab } from './lab.ts';
import { callOnce, portOf, type Seen } from './load.ts';
import { pathOf, protocolOf, type Scenario } from './scenarios.ts';
import type { Deployment } from './target.ts';

/** What keeps a target out of a scenario. `wrong`: it decides otherwise than its rules say. */
export interface Objection {
  readonly kind: 'unserved' | 'wrong';
  readonly text: string;
}

/** Bytes before each message of gRPC. */
const MESSAGE_PREFIX = 5;

/**
 * Makes the calls that must pass and those that must not, before anything counts: by another path, by another identity, and
 * without any. Null when all is well.
 */
export async function objectionTo(lab: Lab, scenario: Scenario, deployment: Deployment, rules: number): Promise<Objection | null> {
  const protocol = protocolOf(scenario);
  const mtls = deployment.doors.mtls[protocol];
  const front = portOf(scenario, deployment);
  const caller = scenario.hops === 'S' ? 'web' : 'plaintext';
  if (front === null) throw new Error(`no door for ${scenario.id}`);
  const path = pathOf(scenario);
  const wanted = await callOnce(lab, protocol, front, path, caller);
  const size = protocol === 'grpc' ? scenario.size + MESSAGE_PREFIX : scenario.size;
  if (!passed(wanted) || (protocol !== 'tcp' && wanted.size !== size)) return { kind: 'unserved', text: `answers the call that is allowed with ${words(wanted)}` };
  const forbidden: [string, Seen][] = [];
  if (rules > 0 && protocol !== 'tcp') forbidden.push(['a wrong path', await callOnce(lab, protocol, front, '/forbidden/1024', caller)]);
  // The identity is checked where it is shown: at the service's proxy.
  if (mtls !== null && rules > 0) forbidden.push(['a wrong identity', await callOnce(lab, protocol, mtls, path, 'other')]);
  if (mtls !== null) forbidden.push(['plaintext', await callOnce(lab, protocol, mtls, path, 'plaintext')]);
  const leak = forbidden.find(([, seen]) => passed(seen));
  if (leak) return { kind: 'wrong', text: `lets ${leak[0]} pass` };
  const vague = forbidden.find(([what, seen]) => what === 'a wrong path' && !refused(seen));
  return vague ? { kind: 'wrong', text: `answers ${vague[0]} with ${words(vague[1])} instead of a refusal` } : null;
}

const passed = ({ status, grpc, error }: Seen) => error === '' && status === 200 && (grpc === '' || grpc === '0');
const refused = ({ status, grpc }: Seen) => status === 403 || grpc === '7';
const words = ({ status, grpc, size, error }: Seen) => error || `status ${status}${grpc === '' ? '' : `, grpc-status ${grpc}`}, ${size} bytes`;
