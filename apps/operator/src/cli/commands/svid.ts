import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwtSvids, decodeX509Svids, encodeJwtSvidRequest, splitCertificates, toPem, type X509SvidsMessage } from '@sallyport/shared/pki';
import { Command } from 'commander';
import { described, outputOption } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Format, show } from '../output.ts';
import { firstAnswer } from '../workload-api.ts';

/** One SVID in the output; the shape that scripts rely on. The key is there only when it was asked for. */
interface SvidRow {
  readonly spiffeId: string;
  readonly serial: string;
  readonly notAfter: string;
  readonly chain: readonly string[];
  readonly bundle: readonly string[];
  readonly key?: string;
}

const SOCKET = ['--socket <url>', 'address of the Workload API, unix:///path (default: SPIFFE_ENDPOINT_SOCKET)'] as const;

/** `sallyport svid`: an identity from the Workload API, for a shell user. */
export function svidCommand(): Command {
  return new Command('svid').description('fetch an identity from the SPIFFE Workload API of a proxy').addCommand(fetchCommand()).addCommand(jwtCommand());
}

function fetchCommand(): Command {
  return described('fetch', 'fetch X.509-SVIDs, and write the first one as PEM files', 'sallyport svid fetch --write ./identity')
    .option(...SOCKET)
    .option('--write <dir>', 'write svid.pem, key.pem, bundle.pem and the bundles of other trust domains there, readable by you alone')
    .option('--show-key', 'print the private key too; without it, it is never printed')
    .addOption(outputOption())
    .action(async ({ socket, write, showKey, output }: { socket?: string; write?: string; showKey?: boolean; output: Format }) => {
      const message = decodeX509Svids(await firstAnswer(endpointOf(socket), 'FetchX509SVID', Buffer.alloc(0)));
      const rows = rowsOf(message, showKey === true);
      if (write !== undefined) writeFiles(write, message);
      show(output, rows, ['SPIFFE ID', 'SERIAL', 'NOT AFTER'], rows.map(({ spiffeId, serial, notAfter }) => [spiffeId, serial, notAfter]));
      if (showKey === true && output === 'table') for (const { key } of rows) console.log(key);
    });
}

function jwtCommand(): Command {
  return described('jwt', 'fetch a JWT-SVID and print it', 'sallyport svid jwt --audience reports')
    .option(...SOCKET)
    .requiredOption('--audience <name>', 'who is to accept it')
    .action(async ({ socket, audience }: { socket?: string; audience: string }) => {
      const [svid] = decodeJwtSvids(await firstAnswer(endpointOf(socket), 'FetchJWTSVID', encodeJwtSvidRequest([audience])));
      if (!svid) throw new CliFailure(EXIT.refused, 'the Workload API gave no JWT-SVID', 'see the log of the proxy');
      console.log(svid.token);
    });
}

function endpointOf(socket: string | undefined): string {
  const endpoint = socket ?? process.env['SPIFFE_ENDPOINT_SOCKET'];
  if (endpoint === undefined || endpoint === '') throw new CliFailure(EXIT.usage, 'no Workload API is named', 'give --socket unix:///path or set SPIFFE_ENDPOINT_SOCKET');
  return endpoint;
}

function rowsOf({ svids }: X509SvidsMessage, withKey: boolean): SvidRow[] {
  return svids.map(({ spiffeId, chain, bundle, key }) => {
    const certificates = splitCertificates(chain);
    const leaf = new X509Certificate(certificates[0] ?? '');
    const row = { spiffeId, serial: leaf.serialNumber.toLowerCase(), notAfter: leaf.validToDate.toISOString(), chain: certificates, bundle: splitCertificates(bundle) };
    return withKey ? { ...row, key: toPem('PRIVATE KEY', key) } : row;
  });
}

function writeFiles(directory: string, { svids, federated }: X509SvidsMessage): void {
  const [svid] = svids;
  if (!svid) throw new CliFailure(EXIT.refused, 'the Workload API gave no SVID', 'see the log of the proxy');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 });
  write('key.pem', toPem('PRIVATE KEY', svid.key));
  write('svid.pem', splitCertificates(svid.chain).join(''));
  write('bundle.pem', splitCertificates(svid.bundle).join(''));
  // The name is a trust domain's, which has no slash (SPIFFE-ID §2.1); anything else is not written.
  for (const [id, der] of federated) {
    const name = /^spiffe:\/\/([a-z0-9._-]+)$/.exec(id)?.[1];
    if (name !== undefined) write(`bundle.${name}.pem`, splitCertificates(der).join(''));
  }
}
