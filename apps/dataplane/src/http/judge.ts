import type { FlowReason } from '@sallyport/shared/mesh';
import { decide, type Decision, normalizePath, type NormalPath, type PolicyRequest, type ShadowMatch, type VerifiedToken } from '@sallyport/shared/policy';
import { authenticateRequest } from '../authn/authenticate.ts';
import { type Answer, type Authorizer, changed } from '../ext-authz/answer.ts';
import type { Authorizers } from '../ext-authz/authorizers.ts';
import type { InboundTarget } from '../listener/inbound-port.ts';
import { clientAddress } from './client-address.ts';
import { distinct, type HeaderPair } from './headers.ts';
import type { RefusalParts } from './own-response.ts';
import { type JudgedRequest, questionAbout } from './question.ts';

interface Allowed {
  readonly allowed: true;
  readonly path: NormalPath;
  readonly policy: string | null;
  /** What is forwarded: in normal form, and without what was for us. */
  readonly target: string;
  /** Null when the request goes on with the headers that it has. */
  readonly headers: readonly HeaderPair[] | null;
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
  /** Null when they are as they came. */
  readonly headers: readonly HeaderPair[] | null;
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

  /**
   * A verdict at once where nobody has to be asked and no token is to be verified, because that is most requests.
   *
   * @param current what the port serves at the moment of the call
   */
  judge(request: JudgedRequest, current: () => InboundTarget): Verdict | Promise<Verdict> {
    const target = current();
    if (target.workload.authentication !== null) return this.#judgeLater(request, current);
    const admitted = admitAsItIs(request, target);
    if ('allowed' in admitted) return admitted;
    const verdict = decided(request, admitted, target);
    return 'allowed' in verdict ? verdict : this.#judgeLater(request, current);
  }

  async #judgeLater(request: JudgedRequest, current: () => InboundTarget): Promise<Verdict> {
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

/** A request as it is where no token is looked for. */
function admitAsItIs({ message }: JudgedRequest, { workload }: InboundTarget): Admitted | Denied {
  const normal = normalizePath(message.target, workload.policy.mesh);
  if (!normal.ok) return deny({ path: null, policy: null, status: 400, reason: 'path-rejected', text: `request rejected: ${normal.problem}` });
  return { path: normal.path, query: { raw: normal.query, forwarded: normal.query }, headers: null, token: null };
}

async function admit(request: JudgedRequest, target: InboundTarget): Promise<Admitted | Denied> {
  const { workload } = target;
  const admitted = admitAsItIs(request, target);
  if ('allowed' in admitted || workload.authentication === null) return admitted;
  const { path, query } = admitted;
  const result = await authenticateRequest(workload.authentication, request.message.method, { headers: request.headers, query: query.raw }, Date.now() / 1000);
  if (result.ok) return { path, query: { raw: query.raw, forwarded: result.query }, headers: result.headers, token: result.token };
  const { status, reason, policy, explanation } = result;
  // RFC 6750 §3: a refused token is answered with a challenge. The realm is ours: a host could be anything.
  const challenge: HeaderPair[] = status === 401 ? [['www-authenticate', `Bearer realm="${workload.namespace}/${workload.name}", error="invalid_token"`]] : [];
  // The policy's name is for those who run the mesh, and they have it in the flow.
  return deny({ path, policy, status, reason, text: explanation.replace(/ \(RequestAuthentication .*$/, ''), parts: { headers: challenge, body: null } });
}

/** What policies see of a request. */
class SeenRequest {
  readonly method: string;
  readonly host: string;
  readonly path: NormalPath;
  readonly #request: JudgedRequest;
  readonly #changed: readonly HeaderPair[] | null;
  #headers: Readonly<Record<string, readonly string[]>> | null = null;

  constructor(request: JudgedRequest, path: NormalPath, changed: readonly HeaderPair[] | null) {
    this.method = request.message.method;
    this.host = request.message.host;
    this.path = path;
    this.#request = request;
    this.#changed = changed;
  }

  /** Made when a condition asks: most do not. */
  get headers(): Readonly<Record<string, readonly string[]>> {
    return (this.#headers ??= distinct(this.#changed ?? this.#request.headers));
  }
}

function about(request: JudgedRequest, { path, token }: Admitted, { workload, port }: InboundTarget, headers: readonly HeaderPair[] | null): PolicyRequest {
  const { peer } = request;
  const { numTrustedProxies } = workload.policy.mesh;
  const remoteIp = numTrustedProxies === 0 ? peer.ip : clientAddress(peer.ip, request.headers, numTrustedProxies);
  const source = { principal: peer.principal, ip: peer.ip, remoteIp };
  return { protocol: 'http', source, destination: { ip: peer.localIp, port }, http: new SeenRequest(request, path, headers), token };
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
  const headers = changed(admitted.headers ?? request.headers, answer.changes);
  // Istio's policies see the request as the authorizer left it. Ours see it before and after: neither may deny.
  const again = decide(target.workload.policy, about(request, admitted, target, headers));
  return again.effect === 'DENY' ? denyBy(again, admitted) : allow(decision, admitted, headers);
}

function allow({ policy, shadow }: Decision, { path, query }: Admitted, headers: readonly HeaderPair[] | null): Allowed {
  return { allowed: true, path, policy, target: `${path}${query.forwarded}`, headers, shadow };
}

function denyBy({ status, reason, policy, explanation, shadow }: Decision, { path }: Admitted): Denied {
  return deny({ path, policy, status, shadow, reason: reason ?? 'policy-deny', ...(status === 400 ? { text: `request rejected: ${explanation}` } : {}) });
}

function deny(facts: Omit<Denied, 'allowed' | 'text' | 'parts' | 'shadow'> & Partial<Denied>): Denied {
  return { allowed: false, text: 'access denied', parts: PLAIN, shadow: [], ...facts };
}
