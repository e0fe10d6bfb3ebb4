import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { AppProbe } from '@sallyport/shared/push';
import protobuf from 'protobufjs';
import { formatAddress } from '../listener/address.ts';
import type { Outcome } from './outcome.ts';

const CHECK = '/grpc.health.v1.Health/Check';
/** gRPC health checking protocol: `ServingStatus`. */
const SERVING = 1;
const OPTIONS = {
  'grpc.max_receive_message_length': 4_096,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Another probe's connection, perhaps a broken one, is not this one's.
  'grpc.use_local_subchannel_pool': 1,
};

/** Asks by the gRPC health checking protocol, without TLS, as the kubelet does (KEP-2727). Never throws. */
export async function askHealth({ port, service, timeout }: Extract<AppProbe, { kind: 'grpc' }>, host: string): Promise<Outcome> {
  const client = new Client(formatAddress({ host, port }), credentials.createInsecure(), OPTIONS);
  try {
    const status = await new Promise<number>((resolve, reject) => {
      const deadline = Date.now() + timeout * 1000;
      client.makeUnaryRequest(CHECK, requestBytes, statusOf, service, new Metadata(), { deadline }, (error, value) => (error ? reject(error) : resolve(value ?? 0)));
    });
    return status === SERVING ? { healthy: true } : { healthy: false, why: `the application's health is ${status}, not SERVING` };
  } catch (error) {
    return { healthy: false, why: `gRPC status ${(error as { code?: number }).code ?? 'unknown'}` };
  } finally {
    client.close();
  }
}

/** `HealthCheckRequest { string service = 1; }` */
function requestBytes(service: string): Buffer {
  return Buffer.from(protobuf.Writer.create().uint32(10).string(service).finish());
}

/** `HealthCheckResponse { ServingStatus status = 1; }`; an absent one is UNKNOWN. */
function statusOf(bytes: Buffer): number {
  const reader = protobuf.Reader.create(bytes);
  let status = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) status = reader.int32();
    else reader.skipType(tag & 7);
  }
  return status;
}
