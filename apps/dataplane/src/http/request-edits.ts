import type { CallTrace } from '../telemetry/trace.ts';
import { compileRemoval, type Removal } from '../wire/index.ts';
import type { Edits } from './exchange.ts';
import { grpcTimeoutText } from './grpc-timeout.ts';
import { OwnField } from './own-field.ts';

/** What we say about a request, and nobody else. */
const OURS: Removal = compileRemoval(['x-forwarded-client-cert', 'traceparent'], ['x-sallyport-']);
/** W3C Trace Context §3.3: the state of a trace that could not be continued is not passed on either. */
const OURS_AND_STATE: Removal = compileRemoval(['x-forwarded-client-cert', 'traceparent', 'tracestate'], ['x-sallyport-']);

const TIMEOUT = 'grpc-timeout';
const WITH_TIMEOUT = new Map([OURS, OURS_AND_STATE].map((removal) => [removal, compileRemoval([...removal.names, TIMEOUT], removal.prefixes)]));

/** What becomes of a request's head: the trace that it belongs to is told on, and who the verified peer is. */
export function requestEdits(trace: CallTrace, clientCert: OwnField | null): Edits {
  const context = new OwnField('traceparent', trace.header);
  return { removal: trace.continued ? OURS : OURS_AND_STATE, added: clientCert === null ? [context] : [context, clientCert] };
}

/** The same for a call of gRPC of whose time a part went by here: the next hop has what is left of it. */
export function withTimeLeft({ removal, added }: Edits, ms: number): Edits {
  return { removal: WITH_TIMEOUT.get(removal) ?? removal, added: [...added, new OwnField(TIMEOUT, grpcTimeoutText(ms))] };
}
