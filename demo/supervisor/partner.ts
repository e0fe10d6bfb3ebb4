import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { Client, escapeIdentifier } from 'pg';
import { local, type Realm } from './plan.ts';

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;

/** The address of the partner's database on the server of another, which is made if it is not there. */
export async function partnerDatabase(url: string): Promise<string> {
  const address = new URL(url);
  const name = `${decodeURIComponent(address.pathname.slice(1))}_partner`;
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${escapeIdentifier(name)}`);
  } catch (error) {
    throw new Error(`the partner's database ${name} cannot be made: ${(error as Error).message}. Remedy: make it, or let the user of DATABASE_URL create databases`, { cause: error });
  } finally {
    await client.end();
  }
  address.pathname = `/${encodeURIComponent(name)}`;
  return address.href;
}

/**
 * The address of a realm's bundle endpoint and the bundle to begin with. It is read by the roots in the operator's own
 * folder, as partners would hand it over by other means.
 */
export async function bundleEndpoint({ folders, ports }: Realm): Promise<{ url: string; bundle: string }> {
  if (ports.bundle === null) throw new Error('this realm serves no bundle');
  const url = `${local('https', ports.bundle)}/`;
  const ca = readFileSync(join(folders.operator, 'bundle.pem'), 'utf8');
  const bundle = await new Promise<string>((resolve, reject) => {
    // An SVID names no host; that its root is the operator's own is what counts here.
    const outgoing = get(url, { ca, checkServerIdentity: () => undefined, agent: false, timeout: TIMEOUT_MS }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) answer.destroy(new Error(`the bundle is larger than ${MAX_BYTES} bytes`));
      });
      answer.on('error', reject).on('end', () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(`${url} answered ${answer.statusCode ?? 0}`))));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${url} did not answer within ${TIMEOUT_MS / 1000} s`)));
    outgoing.on('error', reject);
  });
  return { url, bundle };
}
