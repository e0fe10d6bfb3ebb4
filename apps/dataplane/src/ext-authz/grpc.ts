import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { durationMs, type ExtensionProvider } from '@sallyport/shared/resources';
import type { HeaderPair } from '../http/headers.ts';
import { formatAddress } from '../listener/address.ts';
import { allow, type Answer, type Authorizer, deny, type Question } from './answer.ts';
import { CHECK_METHOD, type CheckRequest, type CheckResponse, decodeResponse, encodeRequest, type HeaderOption } from './protocol.ts';

type Settings = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;

const OPTIONS = {
  'grpc.max_receive_message_length': 64 * 1024,
  // An address from the environment must not get between a request and its verdict.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

/** Asks by Envoy's gRPC protocol `envoy.service.auth.v3.Authorization/Check`. */
export class GrpcAuthorizer implements Authorizer {
  readonly #settings: Settings;
  readonly #client: Client;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#client = new Client(formatAddress({ host: settings.service.replace(/^\[|\]$/g, ''), port: settings.port }), credentials.createInsecure(), OPTIONS);
  }

  async ask(question: Question): Promise<Answer> {
    try {
      return answerOf(await this.#check(requestFor(question)));
    } catch (error) {
      return { kind: 'unavailable', status: this.#settings.statusOnError, why: (error as Error).message };
    }
  }

  close(): void {
    this.#client.close();
  }

  #check(request: CheckRequest): Promise<CheckResponse> {
    const deadline = Date.now() + durationMs(this.#settings.timeout);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(CHECK_METHOD, encodeRequest, decodeResponse, request, new Metadata(), { deadline }, (error, response) => {
        if (error) reject(error);
        else if (response) resolve(response);
        else reject(new Error('it answered nothing'));
      });
    });
  }
}

function requestFor({ source, destination, http }: Question): CheckRequest {
  const peer = ({ principal, ip, port }: Question['source']) => ({ address: { socket_address: { address: ip, port_value: port } }, principal: principal ?? '' });
  const attributes = { source: peer(source), destination: peer(destination) };
  if (http === undefined) return { attributes };
  const now = Date.now();
  const { id, method, target, host, size } = http;
  const scheme = source.principal === null ? 'http' : 'https';
  const headers = { ...joined(http.headers), ':authority': host, ':method': method, ':path': target, ':scheme': scheme };
  const time = { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1_000_000 };
  return { attributes: { ...attributes, request: { time, http: { id, method, headers, path: target, host, scheme, size, protocol: 'HTTP/1.1' } } } };
}

/** AttributeContext: "If multiple headers share the same key, they must be merged according to the HTTP spec. All header keys must be lower-cased". */
function joined(pairs: readonly HeaderPair[]): Record<string, string> {
  const result = new Map<string, string>();
  for (const [original, value] of pairs) {
    const name = original.toLowerCase();
    const before = result.get(name);
    // RFC 6265 §5.4: cookies are the one field that is joined by a semicolon.
    result.set(name, before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ','}${value}`);
  }
  return Object.fromEntries(result);
}

/**
 * "Status `OK` allows the request. Any other status indicates the request should be denied."
 *
 * An answer that says nothing is no yes, although an absent status reads as OK to Envoy; and one that brings a denial
 * along denies, whatever its status.
 */
function answerOf({ status, denied_response: denied, ok_response: ok }: CheckResponse): Answer {
  if (status === undefined && denied === undefined && ok === undefined) throw new Error('its answer holds no verdict');
  if (denied !== undefined || (status?.code ?? 0) !== 0) {
    const body = denied?.body ? Buffer.from(denied.body) : null;
    return deny(denied?.status?.code ?? 403, (denied?.headers ?? []).map(pairOf), body);
  }
  const headers = ok?.headers ?? [];
  const append = headers.filter((option) => option.append?.value === true);
  return allow({ set: headers.filter((option) => !append.includes(option)).map(pairOf), append: append.map(pairOf), remove: ok?.headers_to_remove ?? [] });
}

function pairOf({ header }: HeaderOption): HeaderPair {
  return [header.key, header.raw_value && header.raw_value.length > 0 ? Buffer.from(header.raw_value).toString('latin1') : header.value];
}
