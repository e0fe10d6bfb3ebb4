import type { ServerHttp2Stream } from 'node:http2';
import { ackRequest, attestRequest, challengeRequest, joinRequest, jwtRequest, reattestRequest, reportRequest, subscribeRequest, svidRequest } from '@sallyport/shared/push';
import type { Logger } from 'pino';
import type { Issuance } from '../ca/issuance.ts';
import { acceptReport } from '../history/proxies.ts';
import type { Database } from '../store/postgres/client.ts';
import { ExchangeError, type Handler, readBody, respond } from './exchange.ts';
import type { PushHub } from './hub.ts';

const KEEP_ALIVE_MS = 8_000;

/** Calls of the join port: the only ones that need no client certificate. */
export function joinRoutes(issuance: Issuance, log: Logger): Record<string, Handler> {
  return {
    'POST /v1/join': async (stream) => {
      const request = await readBody(stream, joinRequest);
      respond(stream, await issuance.join(request));
      log.info({ proxy: request.proxy, role: request.role }, 'proxy joined');
    },
    'POST /v1/attest': async (stream) => {
      const request = await readBody(stream, attestRequest);
      respond(stream, await issuance.attest(request));
      log.info({ proxy: request.proxy, role: request.role }, 'proxy attested by its pod');
    },
    'POST /v1/challenge': async (stream) => {
      const { proxy } = await readBody(stream, challengeRequest);
      respond(stream, issuance.challenge(proxy));
    },
    'POST /v1/reattest': async (stream) => {
      const request = await readBody(stream, reattestRequest);
      respond(stream, await issuance.reattest(request));
      log.info({ proxy: request.proxy }, 'proxy attested again by its machine key');
    },
  };
}

interface StreamDependencies {
  readonly hub: PushHub;
  readonly issuance: Issuance;
  readonly database: Database;
  readonly now: () => number;
  /** Tells that telemetry of a proxy arrived. */
  readonly onReport: () => void;
  readonly log: Logger;
}

/** Calls of the stream port. `proxy` is the caller's name from its SVID; what the body claims must agree. */
export function streamRoutes(dependencies: StreamDependencies): Record<string, Handler> {
  const { hub, issuance, database, now, onReport, log } = dependencies;
  return {
    'POST /v1/config': async (stream, proxy) => {
      const request = await readBody(stream, subscribeRequest);
      if (request.proxy !== proxy) throw new ExchangeError(403, `you are ${proxy}, not ${request.proxy}`);
      subscribe(stream, proxy, request.have, hub);
      log.info({ proxy }, 'proxy subscribed');
    },
    'POST /v1/ack': async (stream, proxy) => {
      const ack = await readBody(stream, ackRequest);
      if (!hub.settle(proxy, ack)) throw new ExchangeError(409, 'that nonce is not in flight');
      if (ack.errors.length > 0) log.warn({ proxy, version: ack.version, errors: ack.errors }, 'proxy refused its configuration');
      stream.respond({ ':status': 204 }, { endStream: true });
    },
    'POST /v1/svid': async (stream, proxy) => {
      respond(stream, await issuance.renew(proxy, await readBody(stream, svidRequest)));
    },
    'POST /v1/jwt': async (stream, proxy) => {
      respond(stream, await issuance.jwtSvid(proxy, await readBody(stream, jwtRequest)));
    },
    'POST /v1/report': async (stream, proxy) => {
      const report = await readBody(stream, reportRequest);
      checkReporter(report, proxy, now());
      const outcome = await acceptReport(database, proxy, report, now());
      if (outcome === 'unknown-proxy') throw new ExchangeError(403, `proxy ${proxy} is no longer enrolled`);
      respond(stream, { acceptedSeq: report.seq });
      if (outcome === 'accepted') onReport();
    },
  };
}

function subscribe(stream: ServerHttp2Stream, proxy: string, have: Readonly<Record<string, string>>, hub: PushHub): void {
  stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
  const keepAlive = setInterval(() => stream.write('\n'), KEEP_ALIVE_MS);
  const leave = hub.connect(proxy, have, (delta) => stream.write(`${JSON.stringify(delta)}\n`));
  stream.on('close', () => {
    clearInterval(keepAlive);
    leave();
  });
}

/** A proxy speaks only for itself and only of the past: a clock far ahead would hide its flows from every window. */
function checkReporter(report: { from: number; to: number; flows: readonly { reporter: string }[]; denies: readonly { reporter: string }[] }, proxy: string, now: number): void {
  if ([...report.flows, ...report.denies].some((item) => item.reporter !== proxy)) throw new ExchangeError(403, `a report of ${proxy} names another reporter`);
  if (report.from > report.to) throw new ExchangeError(400, 'report ends before it begins');
  if (report.to > now + 60_000) throw new ExchangeError(400, 'report is from the future; set the clock of the proxy');
}
