import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { createCsr } from '@sallyport/shared/pki';
import { Backoff, pause } from '../backoff.ts';
import { PushFailure } from '../config-stream/operator-session.ts';
import type { Log } from '../telemetry/log.ts';
import { acceptSvid, type Credentials } from './credentials.ts';
import type { SvidResponse } from './enrolment.ts';
import type { TrustBundle } from './trust.ts';

const newKeyPair = promisify(generateKeyPair);

/** Where SVIDs come from: given a CSR in PEM, the operator's answer. */
export type SvidIssuance = (csr: string) => Promise<SvidResponse>;

/** Keeps one identity supplied with an SVID until stopped: a fresh key each time, renewal at `renewAt`, retries in between. */
export class SvidRenewal {
  readonly #credentials: Credentials;
  readonly #bundle: TrustBundle;
  readonly #issue: SvidIssuance;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;

  constructor(credentials: Credentials, bundle: TrustBundle, issue: SvidIssuance, log: Log) {
    this.#credentials = credentials;
    this.#bundle = bundle;
    this.#issue = issue;
    this.#log = log;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const backoff = new Backoff();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#renew();
        backoff.reset();
        const renewAt = this.#credentials.svid?.renewAt ?? 0;
        // A renewAt in the past must not become a busy loop.
        await pause(Math.max(1000, renewAt - Date.now()), signal);
      } catch (error) {
        if (signal.aborted) return;
        const wait = backoff.next(error instanceof PushFailure ? error.retryAfter : 0);
        const { spiffeId, svid } = this.#credentials;
        const validUntil = svid ? new Date(svid.notAfter).toISOString() : null;
        this.#log.warn({ spiffeId, validUntil, retryInMs: wait, reason: (error as Error).message }, 'SVID not renewed; trying again');
        await pause(wait, signal);
      }
    }
  }

  async #renew(): Promise<void> {
    const keys = await newKeyPair('ec', { namedCurve: 'P-256' });
    const response = await this.#issue(createCsr(keys));
    if (this.#stop.signal.aborted) return;
    const { spiffeId } = this.#credentials;
    const svid = acceptSvid(response, spiffeId, keys.privateKey, response.bundle, Date.now());
    // The bundle first: an SVID under a new root is of no use to those who do not trust that root yet.
    this.#bundle.replace(response.bundle);
    this.#credentials.install(svid);
    this.#log.info({ spiffeId, serial: svid.serial, notAfter: new Date(svid.notAfter).toISOString() }, 'SVID installed');
  }
}
