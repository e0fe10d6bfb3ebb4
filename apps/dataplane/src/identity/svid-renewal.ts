import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { createCsr } from '@sallyport/shared/pki';
import { Backoff, pause } from '../backoff.ts';
import { PushFailure } from '../config-stream/operator-session.ts';
import type { Log } from '../telemetry/log.ts';
import { acceptSvid, type Credentials } from './credentials.ts';
import type { SvidResponse } from './proof.ts';
import type { TrustBundle } from './trust.ts';

const newKeyPair = promisify(generateKeyPair);

/** identity-pki.md §5: retries from 0.5 s to 150 s; the valid SVID is kept meanwhile. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 150_000;

/** Where SVIDs come from: given a CSR in PEM, the operator's answer. */
export type SvidIssuance = (csr: string) => Promise<SvidResponse>;

/** Keeps one identity supplied with an SVID until stopped: a fresh key each time, renewal at `renewAt`, retries in between. */
export class SvidRenewal {
  readonly #credentials: Credentials;
  readonly #bundle: TrustBundle;
  readonly #issue: SvidIssuance;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #wake = new AbortController();
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

  /** Looks at the wall clock again: it went another way than the time that was waited. */
  wake(): void {
    this.#wake.abort();
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(FIRST_RETRY_MS, LAST_RETRY_MS);
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#renew();
        backoff.reset();
        // A renewAt in the past must not become a busy loop.
        await this.#waitUntil(Math.max(Date.now() + 1000, this.#credentials.svid?.renewAt ?? 0));
      } catch (error) {
        if (signal.aborted) return;
        const wait = backoff.next(error instanceof PushFailure ? error.retryAfter : 0);
        const { spiffeId, svid } = this.#credentials;
        const validUntil = svid ? new Date(svid.notAfter).toISOString() : null;
        this.#log.warn({ spiffeId, validUntil, retryInMs: wait, reason: (error as Error).message }, 'SVID not renewed; trying again');
        await this.#waitUntil(Date.now() + wait);
      }
    }
  }

  async #waitUntil(moment: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && Date.now() < moment) {
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      await pause(moment - Date.now(), AbortSignal.any([signal, this.#wake.signal]));
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
