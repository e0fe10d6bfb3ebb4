import {
  decodeJwtSvidRequest, decodeValidateRequest, encodeJwtBundles, encodeJwtSvids, encodeValidated, encodeX509Bundles, encodeX509Svids, fromPem, type JwtAuthority, JwtSvidError, MessageError,
  validateJwtSvid, writeJwtBundle, type X509SvidMessage,
} from '@sallyport/shared/pki';
import type { Credentials, Svid } from '../identity/credentials.ts';
import type { DomainBundle } from '../identity/trust.ts';
import { GrpcError, SECURITY_HEADER, STATUS } from './grpc.ts';
import type { Guard, GrpcMethods, Streaming } from './grpc-server.ts';

/** An identity that a caller may have. */
interface Entitlement {
  readonly workload: { readonly namespace: string; readonly name: string };
  readonly credentials: Credentials;
}

/** What the service answers from, for one caller. */
export interface WorkloadApiSource {
  /** Null as long as nothing is known; none for a caller who is entitled to nothing. */
  entitled(): readonly Entitlement[] | null;
  /** Every bundle by its trust domain. */
  bundles(): ReadonlyMap<string, DomainBundle>;
  readonly trustDomain: string;
  /** @throws Error when none can be had */
  jwtSvid(workload: Entitlement['workload'], audience: readonly string[]): Promise<string>;
  /** Calls back when anything of the above changed. Returns the way to stop that. */
  onChange(listener: () => void): () => void;
}

/**
 * SPIFFE Workload Endpoint §3: "the static metadata key-value pair `workload.spiffe.io: true`"; without it the call is
 * refused with InvalidArgument, so that a request forged through a naive HTTP client gets nothing.
 */
export const requireSecurityHeader: Guard = (metadata) => {
  if (metadata.get(SECURITY_HEADER.name) !== SECURITY_HEADER.value) throw new GrpcError(STATUS.INVALID_ARGUMENT, 'security header missing from request: workload.spiffe.io must be true');
};

/** The methods of the SPIFFE Workload API for one caller. Those of the WIT profile are left out: Unimplemented. */
export function workloadApiMethods(source: WorkloadApiSource): GrpcMethods {
  return {
    streaming: {
      FetchX509SVID: stateStream(source, () => x509Svids(source)),
      FetchX509Bundles: stateStream(source, () => {
        requireEntitled(source);
        return encodeX509Bundles(mapOf(source.bundles(), ({ roots }) => derOf(roots)));
      }),
      FetchJWTBundles: stateStream(source, () => {
        requireEntitled(source);
        return encodeJwtBundles(mapOf(source.bundles(), ({ jwtKeys }) => writeJwtBundle(jwtKeys)));
      }),
    },
    unary: {
      FetchJWTSVID: (request) => jwtSvids(source, request),
      ValidateJWTSVID: (request) => Promise.resolve().then(() => validated(source, request)),
    },
  };
}

/**
 * Workload API §4.3: "the first response message of the server response stream ... MUST be sent as soon as possible,
 * without delay", and every message has "the full set of information". Changes of one turn are told once.
 */
function stateStream(source: WorkloadApiSource, state: () => Buffer): Streaming {
  return (send, fail) => {
    let last: Buffer | null = null;
    let scheduled: NodeJS.Immediate | null = null;
    let stop: () => void = () => undefined;
    const tell = (): void => {
      scheduled = null;
      try {
        const message = state();
        if (last?.equals(message) === true) return;
        last = message;
        send(message);
      } catch (error) {
        fail(error);
      }
    };
    stop = source.onChange(() => {
      scheduled ??= setImmediate(tell);
    });
    const end = () => {
      stop();
      if (scheduled) clearImmediate(scheduled);
    };
    // In the next turn, so that a failure finds its call set up; still before anything else that waits.
    scheduled = setImmediate(tell);
    return end;
  };
}

/** @throws GrpcError Unavailable while starting, PermissionDenied for a caller without identity (Workload Endpoint §6) */
function requireEntitled(source: WorkloadApiSource): readonly Entitlement[] {
  const entitled = source.entitled();
  if (entitled === null) throw new GrpcError(STATUS.UNAVAILABLE, 'the proxy is starting and has no configuration yet');
  if (entitled.length === 0) throw new GrpcError(STATUS.PERMISSION_DENIED, 'no identity issued: no Workload names this user in spec.workloadApi');
  return entitled;
}

function x509Svids(source: WorkloadApiSource): Buffer {
  const now = Date.now();
  const svids = requireEntitled(source).flatMap(({ credentials: { svid } }) => (svid && svid.notAfter > now ? [svid] : []));
  if (svids.length === 0) throw new GrpcError(STATUS.UNAVAILABLE, 'the identity has no valid certificate yet');
  const bundles = source.bundles();
  const own = derOf(bundles.get(source.trustDomain)?.roots ?? []);
  const federated = mapOf(new Map([...bundles].filter(([name]) => name !== source.trustDomain)), ({ roots }) => derOf(roots));
  return encodeX509Svids({ svids: svids.map((svid) => x509Svid(svid, own)), federated });
}

function x509Svid({ spiffeId, chain, privateKey }: Svid, bundle: Buffer): X509SvidMessage {
  return { spiffeId, chain: derOf(chain), key: privateKey.export({ type: 'pkcs8', format: 'der' }), bundle };
}

async function jwtSvids(source: WorkloadApiSource, request: Buffer): Promise<Buffer> {
  const { audience, spiffeId } = readRequest(() => decodeJwtSvidRequest(request));
  // §4.5: a mandatory field with its default value is InvalidArgument.
  if (audience.length === 0 || audience.some((each) => each === '')) throw new GrpcError(STATUS.INVALID_ARGUMENT, 'audience must be specified');
  const wanted = requireEntitled(source).filter(({ credentials }) => spiffeId === '' || credentials.spiffeId === spiffeId);
  if (wanted.length === 0) throw new GrpcError(STATUS.PERMISSION_DENIED, `no identity issued: the caller is not ${spiffeId.slice(0, 300)}`);
  try {
    const svids = wanted.map(async ({ workload, credentials }) => ({ spiffeId: credentials.spiffeId, token: await source.jwtSvid(workload, audience) }));
    return encodeJwtSvids(await Promise.all(svids));
  } catch (error) {
    throw new GrpcError(STATUS.UNAVAILABLE, `no JWT-SVID can be had: ${(error as Error).message}`);
  }
}

function validated(source: WorkloadApiSource, request: Buffer): Buffer {
  const { audience, token } = readRequest(() => decodeValidateRequest(request));
  if (audience === '' || token === '') throw new GrpcError(STATUS.INVALID_ARGUMENT, 'audience and svid must be specified');
  requireEntitled(source);
  const keys = (trustDomain: string): readonly JwtAuthority[] | null => source.bundles().get(trustDomain)?.jwtKeys ?? null;
  try {
    const { id, claims } = validateJwtSvid(token, audience, keys, Date.now());
    return encodeValidated(id.uri, claims);
  } catch (error) {
    if (error instanceof JwtSvidError) throw new GrpcError(STATUS.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

function readRequest<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MessageError) throw new GrpcError(STATUS.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

/** Bundles are "keyed by the SPIFFE ID of the trust domain". */
function mapOf<T>(bundles: ReadonlyMap<string, DomainBundle>, value: (bundle: DomainBundle) => T): Map<string, T> {
  return new Map([...bundles].map(([name, bundle]) => [`spiffe://${name}`, value(bundle)]));
}

function derOf(certificates: readonly string[]): Buffer {
  return Buffer.concat(certificates.map((pem) => fromPem('CERTIFICATE', pem)));
}
