import protobuf from 'protobufjs';
import { z } from 'zod';

/** The parts of Envoy's v3 messages that we send or read, by their real names and numbers. Others are skipped on the wire. */
const PROTO = `
syntax = "proto3";
package envoy.service.auth.v3;

message SocketAddress { string address = 2; uint32 port_value = 3; }
message Address { SocketAddress socket_address = 1; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }

message AttributeContext {
  message Peer { Address address = 1; string service = 2; map<string, string> labels = 3; string principal = 4; }
  message HttpRequest {
    string id = 1; string method = 2; map<string, string> headers = 3; string path = 4; string host = 5;
    string scheme = 6; int64 size = 9; string protocol = 10;
  }
  message Request { Timestamp time = 1; HttpRequest http = 2; }
  Peer source = 1;
  Peer destination = 2;
  Request request = 4;
}
message CheckRequest { AttributeContext attributes = 1; }

message Status { int32 code = 1; string message = 2; }
message BoolValue { bool value = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message HeaderValueOption { HeaderValue header = 1; BoolValue append = 2; }
message HttpStatus { int32 code = 1; }
message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
message OkHttpResponse { repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5; }
message CheckResponse { Status status = 1; DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }
`;

export const CHECK_METHOD = '/envoy.service.auth.v3.Authorization/Check';

const root = protobuf.parse(PROTO, { keepCase: true }).root;
const checkRequest = root.lookupType('envoy.service.auth.v3.CheckRequest');
const checkResponse = root.lookupType('envoy.service.auth.v3.CheckResponse');

interface Peer {
  readonly address: { readonly socket_address: { readonly address: string; readonly port_value: number } };
  readonly principal: string;
}

/** `CheckRequest`, in the words of its proto. */
export interface CheckRequest {
  readonly attributes: {
    readonly source: Peer;
    readonly destination: Peer;
    readonly request?: {
      readonly time: { readonly seconds: number; readonly nanos: number };
      readonly http: {
        readonly id: string; readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly path: string; readonly host: string;
        readonly scheme: string; readonly size: number; readonly protocol: string;
      };
    };
  };
}

const headerOption = z.object({
  header: z.object({ key: z.string(), value: z.string().default(''), raw_value: z.instanceof(Uint8Array).optional() }),
  append: z.object({ value: z.boolean().default(false) }).optional(),
});
const checkResponseShape = z.object({
  status: z.object({ code: z.int().default(0) }).optional(),
  denied_response: z.object({ status: z.object({ code: z.int().default(0) }).optional(), headers: z.array(headerOption).default([]), body: z.string().default('') }).optional(),
  ok_response: z.object({ headers: z.array(headerOption).default([]), headers_to_remove: z.array(z.string()).default([]) }).optional(),
});
export type CheckResponse = z.infer<typeof checkResponseShape>;
export type HeaderOption = z.infer<typeof headerOption>;

/** A request as bytes. */
export function encodeRequest(request: CheckRequest): Buffer {
  return Buffer.from(checkRequest.encode(checkRequest.fromObject(request)).finish());
}

/** An answer from bytes. @throws Error for bytes that are none */
export function decodeResponse(bytes: Buffer): CheckResponse {
  return checkResponseShape.parse(checkResponse.toObject(checkResponse.decode(bytes), { longs: Number }));
}
