import http, { type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadPackageDefinition, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Written by hand from Envoy's documents, apart from the one in `src`: a wrong number there must not agree with itself. */
const PROTO = `
syntax = "proto3";
package envoy.service.auth.v3;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message SocketAddress { int32 protocol = 1; string address = 2; oneof port_specifier { uint32 port_value = 3; string named_port = 4; } }
message Address { oneof address { SocketAddress socket_address = 1; } }
message AttributeContext {
  message Peer { Address address = 1; string service = 2; map<string, string> labels = 3; string principal = 4; string certificate = 5; }
  message Request { google.protobuf.Timestamp time = 1; HttpRequest http = 2; }
  message HttpRequest { string id = 1; string method = 2; map<string, string> headers = 3; string path = 4; string host = 5; string scheme = 6; string query = 7; string fragment = 8; int64 size = 9; string protocol = 10; string body = 11; bytes raw_body = 12; }
  Peer source = 1; Peer destination = 2; Request request = 4; map<string, string> context_extensions = 10;
}
message CheckRequest { AttributeContext attributes = 1; }
message RpcStatus { int32 code = 1; string message = 2; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message HeaderValueOption { HeaderValue header = 1; google.protobuf.BoolValue append = 2; }
enum StatusCode { Empty = 0; OK = 200; Found = 302; Unauthorized = 401; Forbidden = 403; }
message HttpStatus { StatusCode code = 1; }
message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
message OkHttpResponse { repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5; }
message CheckResponse { RpcStatus status = 1; oneof http_response { DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; } }
service Authorization { rpc Check(CheckRequest) returns (CheckResponse); }
`;

export interface CheckAttributes {
  readonly source: { readonly principal: string; readonly address: { readonly socket_address: { readonly address: string; readonly port_value: number } } };
  readonly destination: CheckAttributes['source'];
  readonly request?: { readonly http: { readonly method: string; readonly path: string; readonly host: string; readonly headers: Record<string, string>; readonly size: string } };
}
type Reply = (attributes: CheckAttributes) => object | Error | null;

/** A real gRPC server of Envoy's protocol. `reply` gives the answer; null never answers. */
export async function grpcAuthorizer(reply: Reply, raw: Buffer | null = null): Promise<{ port: number; close: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), 'proto-'));
  writeFileSync(join(directory, 'auth.proto'), PROTO);
  const loaded = loadPackageDefinition(loadSync(join(directory, 'auth.proto'), { keepCase: true, longs: String }));
  rmSync(directory, { recursive: true });
  const services = loaded as unknown as { envoy: { service: { auth: { v3: { Authorization: { service: { Check: { responseSerialize: (value: object) => Buffer } } } } } } } };
  const { service } = services.envoy.service.auth.v3.Authorization;
  const serialize = service.Check.responseSerialize;
  service.Check.responseSerialize = (value) => raw ?? serialize(value);
  const server = new Server();
  server.addService(service as never, {
    Check: (call: ServerUnaryCall<{ attributes: CheckAttributes }, object>, callback: sendUnaryData<object>) => {
      const answer = reply(call.request.attributes);
      if (answer instanceof Error) callback(answer);
      else if (answer !== null) callback(null, answer);
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { port, close: () => server.forceShutdown() };
}

/** A real HTTP authorizer that remembers what it was asked. */
export async function httpAuthorizer(listener: RequestListener): Promise<{ port: number; asked: { method: string; url: string; headers: IncomingHttpHeaders }[]; close: () => void }> {
  const asked: { method: string; url: string; headers: IncomingHttpHeaders }[] = [];
  const server = http.createServer((req, res) => {
    asked.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers });
    listener(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { port: (server.address() as AddressInfo).port, asked, close };
}
