import http, { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

const MAX_HEAD_BYTES = 64 * 1024;
const HEAD_MS = 10_000;
/** A whole request may take as long as a connection may live. */
const REQUEST_MS = 3_600_000;
/** Longer than our clients keep an idle connection (agents.ts), so that they and not we close it first. */
const KEEP_ALIVE_MS = 75_000;
const CHECK_MS = 2_000;

/** A request together with the connection of an accepted protocol switch, when it asks for one. */
export interface UpgradeRequest {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export interface HttpCallbacks {
  readonly request: (req: IncomingMessage, res: ServerResponse, upgrade: UpgradeRequest | null) => void;
  /** Bytes that are no acceptable HTTP; the answer has been sent and the connection is closed. */
  readonly malformed: (socket: Socket) => void;
}

/** A strict HTTP/1.1 server without a listener of its own: connections come through {@link HttpServer.accept}. */
export class HttpServer {
  readonly #server: Server;
  readonly #inFlight = new Set<ServerResponse>();
  #closing = false;

  constructor(callbacks: HttpCallbacks) {
    this.#server = http.createServer({
      insecureHTTPParser: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
      // Checked by requestProblem, where it is counted.
      requireHostHeader: false,
      // Anything but WebSocket (h2c above all) would be a tunnel past the policy.
      shouldUpgradeCallback: (req) => req.headers.upgrade?.toLowerCase() === 'websocket',
    });
    // Without a limit: node:http would drop headers beyond it in silence. requestProblem refuses instead.
    this.#server.maxHeadersCount = 0;
    this.#server.on('request', (req, res) => this.#begin(req, res, null, callbacks));
    this.#server.on('checkContinue', (req, res) => this.#begin(req, res, null, callbacks));
    this.#server.on('upgrade', (req, socket, head) => this.#begin(req, responseOn(req, socket as Socket), { socket, head }, callbacks));
    this.#server.on('connect', (req, socket) => this.#begin(req, responseOn(req, socket as Socket), null, callbacks));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      this.#malformed(socket as Socket, error, callbacks);
    });
    // node:http starts its timeouts on this event, which a server that is fed by hand never gets.
    this.#server.emit('listening');
  }

  /** True once {@link close} was called: answers then carry `Connection: close`. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Serves one connection. */
  accept(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** Closes idle connections, waits up to `grace` ms for requests in flight, then closes all. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    this.#server.close();
    this.#server.closeIdleConnections();
    const end = Date.now() + grace;
    while (this.#inFlight.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    this.#server.closeAllConnections();
  }

  #begin(req: IncomingMessage, res: ServerResponse, upgrade: UpgradeRequest | null, { request }: HttpCallbacks): void {
    this.#inFlight.add(res);
    res.once('close', () => this.#inFlight.delete(res));
    res.on('error', () => undefined);
    req.on('error', () => undefined);
    request(req, res, upgrade);
  }

  #malformed(socket: Socket, error: NodeJS.ErrnoException, { malformed }: HttpCallbacks): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const open = [...this.#inFlight].filter((res) => res.socket === socket);
    // An answer that has begun must not be mixed with ours.
    if (!open.some((res) => res.headersSent)) {
      const status = STATUS_OF_ERROR[error.code ?? ''] ?? '400 Bad Request';
      socket.write(`HTTP/1.1 ${status}\r\nx-sallyport-reason: bad-request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    }
    // The broken body of a request that is counted already is not one more call.
    if (open.length === 0) malformed(socket);
    socket.destroySoon();
  }
}

const STATUS_OF_ERROR: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** node:http leaves the socket of an upgrade to us; a response makes refusals look like any other. */
function responseOn(req: IncomingMessage, socket: Socket): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket);
  socket.on('error', () => undefined);
  res.once('finish', () => {
    res.detachSocket(socket);
    socket.destroySoon();
    // Nobody else tells: the server has let go of this connection.
    res.emit('close');
  });
  return res;
}
