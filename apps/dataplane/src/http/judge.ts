import type { FlowReason } from '@sallyport/shared/mesh';
import { decide, type Decision, normalizePath, type NormalPath, type PolicyRequest, type ShadowMatch, type VerifiedToken } from '@sallyport/shared/policy';
import { authenticateRequest } from '../authn/authenticate.ts';
import { type Answer, type Authorizer, changed } from '../ext-authz/answer.ts';
import type { Authorizers } from '../ext-authz/authorizers.ts';
import type { InboundTarget } from '../listener/inbound-port.ts';
import { clientAddress } from './client-address.ts';
import type { RefusalParts } from './forward.ts';
import { distinct, type HeaderPair } from './headers.ts';
import { type JudgedRequest, questionAbout } from './question.ts';

interface Allowed {
  readonly allowed: true;
  readonly path: NormalPath;
  readonly policy: string | null;
  /** What is forwarded: in normal form, and without what was for us. */
  readonly target: string;
  readonly headers: readonly HeaderPair[];
  readonly shadow: readonly ShadowMatch[];
}

interface Denied {
  readonly allowed: false;
  readonly path: NormalPath | null;
  readonly policy: string | null;
  readonly status: number;
  readonly reason: FlowReason;
  readonly text: string;
  readonly parts: RefusalParts;
  readonly shadow: readonly ShadowMatch[];
}

/** What becomes of a request. */
export type Verdict = Allowed | Denied;

/** What an authorizer said about just this target: a change elsewhere in the configuration is no reason to ask again. */
interface Answered {
  readonly authorizer: Authorizer;
  readonly target: string;
  readonly answer: Answer;
}

/** A request whose path has a meaning and whose tokens were accepted. */
interface Admitted {
  readonly path: NormalPath;
  /** As it came, and without the tokens that were for us. */
  readonly query: { readonly raw: string; readonly forwarded: string };
  readonly headers: readonly HeaderPair[];
  readonly token: VerifiedToken | null;
}

const PLAIN: RefusalParts = { headers: [], body: null };
/** A configuration that changes faster than questions are answered must not keep a request for ever. */
const MAX_ROUNDS = 10;

/**
 * Decides requests: normal form of the path, tokens, policies, and the authorizer that a policy names. Nothing is
 * forwarded before all have spoken, under a configuration that is still in force then.
 */
export class Judge {
  readonly #authorizers: Authorizers;

  constructor(authorizers: Authorizers) {
    this.#authorizers = authorizers;
  }

  /** @param current what the port serves at the moment of the call */
  async judge(request: JudgedRequest, current: () => InboundTarget): Promise<Verdict> {
    let answered: Answered | null = null;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const target = current();
      const admitted = await admit(request, target);
      let verdict: Verdict | Decision = 'allowed' in admitted ? admitted : decided(request, admitted, target);
      if ('effect' in verdict && !('allowed' in admitted)) {
        answered = await this.#ask(verdict, request, admitted, target, answered);
        verdict = concluded(verdict, answered?.answer ?? null, request, admitted, target);
      }
      if (current() === target && 'allowed' in verdict) return verdict;
    }
    return deny({ path: null, policy: null, status: 403, reason: 'authorizer-unavailable' });
  }

  /** @returns null when there is nobody to ask */
  async #ask({ provider }: Decision, request: JudgedRequest, { path, query }: Admitted, target: InboundTarget, before: Answered | null): Promise<Answered | null> {
    const authorizer = this.#authorizers.get(provider ?? '');
    if (authorizer === null) return null;
    const asked = `${path}${query.raw}`;
    if (before?.authorizer === authorizer && before.target === asked) return before;
    return { authorizer, target: asked, answer: await authorizer.ask(questionAbout(request, asked, target)) };
  }
}

async function admit({ method, headers, target }: JudgedRequest, { workload }: InboundTarget): Promise<Admitted | Denied> {
  const normal = normalizePath(target, workload.policy.mesh);
  if (!normal.ok) return deny({ path: null, policy: null, status: 400, reason: 'path-rejected', text: `request rejected: ${normal.problem}` });
  const { path, query: raw } = normal;
  if (workload.authentication === null) return { path, query: { raw, forwarded: raw }, headers, token: null };
  const result = await authenticateRequest(workload.authentication, method, { headers, query: raw }, Date.now() / 1000);
  if (result.ok) return { path, query: { raw, forwarded: result.query }, headers: result.headers, token: result.token };
  const { status, reason, policy, explanation } = result;
  // RFC 6750 §3: a refused token is answered with a challenge. The realm is ours: a host could be anything.
  const challenge: HeaderPair[] = status === 401 ? [['www-authenticate', `Bearer realm="${workload.namespace}/${workload.name}", error="invalid_token"`]] : [];
  // The policy's name is for those who run the mesh, and they have it in the flow.
  return deny({ path, policy, status, reason, text: explanation.replace(/ \(RequestAuthentication .*$/, ''), parts: { headers: challenge, body: null } });
}

function about({ peer, method, host, headers: received }: JudgedRequest, { path, token }: Admitted, { workload, port }: InboundTarget, headers: readonly HeaderPair[]): PolicyRequest {
  const remoteIp = clientAddress(peer.ip, received, workload.policy.mesh.numTrustedProxies);
  const source = { principal: peer.principal, ip: peer.ip, remoteIp };
  return { protocol: 'http', source, destination: { ip: peer.localIp, port }, http: { method, host, path, headers: distinct(headers) }, token };
}

/** The verdict of the policies, or the decision to ask somebody. */
function decided(request: JudgedRequest, admitted: Admitted, target: InboundTarget): Verdict | Decision {
  const decision = decide(target.workload.policy, about(request, admitted, target, admitted.headers));
  if (decision.effect === 'ASK') return decision;
  return decision.effect === 'ALLOW' ? allow(decision, admitted, admitted.headers) : denyBy(decision, admitted);
}

function concluded(decision: Decision, answer: Answer | null, request: JudgedRequest, admitted: Admitted, target: InboundTarget): Verdict {
  const { policy, shadow } = decision;
  const { path } = admitted;
  if (answer === null || answer.kind === 'unavailable') return deny({ path, policy, shadow, status: answer?.status ?? 403, reason: 'authorizer-unavailable' });
  if (answer.kind === 'deny') return deny({ path, policy, shadow, status: answer.status, reason: 'authorizer-denied', parts: answer });
  const headers = changed(admitted.headers, answer.changes);
  // Istio's policies see the request as the authorizer left it. Ours see it before and after: neither may deny.
  const again = decide(target.workload.policy, about(request, admitted, target, headers));
  return again.effect === 'DENY' ? denyBy(again, admitted) : allow(decision, admitted, headers);
}

function allow({ policy, shadow }: Decision, { path, query }: Admitted, headers: readonly HeaderPair[]): Allowed {
  return { allowed: true, path, policy, target: `${path}${query.forwarded}`, headers, shadow };
}

function denyBy({ status, reason, policy, explanation, shadow }: Decision, { path }: Admitted): Denied {
  return deny({ path, policy, status, shadow, reason: reason ?? 'policy-deny', ...(status === 400 ? { text: `request rejected: ${explanation}` } : {}) });
}

function deny(facts: Omit<Denied, 'allowed' | 'text' | 'parts' | 'shadow'> & Partial<Denied>): Denied {
  return { allowed: false, text: 'access denied', parts: PLAIN, shadow: [], ...facts };
}
