import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { evidenceKey } from '@sallyport/shared/api';
import { verifyBundle } from '@sallyport/shared/evidence';
import { durationMs } from '@sallyport/shared/resources';
import type { Command } from 'commander';
import { type Problem, readBundle, readZip, writeDirectory } from '../bundle-files.ts';
import { apiCommand, clientOf, described, outputOption } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Format, note, show, tone } from '../output.ts';

interface Options {
  readonly output: Format;
  readonly server?: string;
}
type ExportOptions = Options & { readonly from?: string; readonly to?: string; readonly window?: string; readonly out: string };

/** `sallyport evidence` */
export function evidenceCommand(): Command {
  return described('evidence', 'export signed audit evidence, verify it, show the key', 'sallyport evidence export --window 24h -O evidence\nsallyport evidence key -O auditor.pub.pem\nsallyport evidence verify evidence --key auditor.pub.pem')
    .addCommand(exportCommand())
    .addCommand(verifyCommand())
    .addCommand(keyCommand());
}

function exportCommand(): Command {
  return apiCommand('export', 'write the evidence of a period to a directory or a .zip', 'sallyport evidence export --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z -O january.zip\nsallyport evidence export --window 24h -O evidence')
    .option('--from <instant>', 'start of the period, ISO 8601')
    .option('--to <instant>', 'end of the period, not part of it (default: now)')
    .option('--window <duration>', 'the period that ends now, such as 24h')
    .requiredOption('-O, --out <path>', 'a new or empty directory, or a file that ends in .zip')
    .action(async (options: ExportOptions) => {
      const period = periodOf(options, Date.now());
      const asZip = options.out.endsWith('.zip');
      if (asZip && existsSync(options.out)) throw new CliFailure(EXIT.usage, `${options.out}: exists already`, 'give another name');
      const { bytes, sha256 } = await clientOf(options).download('/evidence', period);
      const hash = createHash('sha256').update(bytes).digest('hex');
      if (sha256 !== null && sha256 !== hash) throw new CliFailure(EXIT.refused, 'the bundle arrived damaged', 'export it again');
      const { files, problems } = readZip('the answer', bytes);
      if (problems[0]) throw new CliFailure(EXIT.refused, `${problems[0].file} ${problems[0].problem}`, 'is the server of the same version as this command?');
      write(options.out, asZip, bytes, files);
      const made = { path: options.out, ...period, files: files.size, bytes: bytes.length, sha256: hash };
      if (options.output === 'table') process.stdout.write(`${options.out}: ${files.size} files for ${period.from} to ${period.to}\n`);
      else show(options.output, made, [], []);
      note(`Verify it: sallyport evidence verify ${options.out} --key KEY.pem (the key: sallyport evidence key -O KEY.pem), or by its VERIFY.md`);
    });
}

function write(path: string, asZip: boolean, bytes: Uint8Array, files: ReadonlyMap<string, Uint8Array>): void {
  try {
    if (asZip) writeFileSync(path, bytes, { flag: 'wx' });
    else writeDirectory(path, files);
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    throw new CliFailure(EXIT.usage, `${path}: cannot be written: ${error instanceof Error ? error.message : 'unknown reason'}`);
  }
}

/** @throws CliFailure for a period that is not given one way and whole */
function periodOf(options: ExportOptions, now: number): { from: string; to: string } {
  if (options.window !== undefined && (options.from !== undefined || options.to !== undefined)) {
    throw new CliFailure(EXIT.usage, 'give either --window, or --from and --to');
  }
  if (options.window !== undefined) return { from: iso(now - windowOf(options.window)), to: iso(now) };
  if (options.from === undefined) throw new CliFailure(EXIT.usage, 'which period?', 'give --window 24h, or --from and --to');
  const from = instantOf('--from', options.from);
  const to = options.to === undefined ? now : instantOf('--to', options.to);
  if (from >= to) throw new CliFailure(EXIT.usage, '--from must lie before --to');
  return { from: iso(from), to: iso(to) };
}

function windowOf(text: string): number {
  try {
    return durationMs(text);
  } catch {
    throw new CliFailure(EXIT.usage, `--window: "${text}" is not a duration`, 'use for example 15m, 24h or 720h');
  }
}

function instantOf(flag: string, text: string): number {
  const at = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new CliFailure(EXIT.usage, `${flag}: "${text}" is not an instant`, 'use ISO 8601 with a zone, such as 2026-01-31T00:00:00Z, or a date in UTC');
  return at;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function verifyCommand(): Command {
  return described('verify', 'check a bundle against the exporter’s public key; exit 1 when anything was changed', 'sallyport evidence verify january.zip --key auditor.pub.pem')
    .argument('<path>', 'directory or .zip')
    .requiredOption('--key <file>', 'public key (PEM) that reached you by another way than the bundle')
    .addOption(outputOption())
    .action((path: string, options: { key: string; output: Format }) => {
      const format = options.output;
      const key = readKey(options.key);
      const { files, problems: first } = readBundle(path);
      const problems: Problem[] = [...first, ...verifyBundle(files, key).problems];
      const ok = problems.length === 0;
      if (format !== 'table' || !ok) {
        show(format, { ok, files: files.size, problems }, ['FILE', 'PROBLEM', 'DETAIL'], problems.map((item) => [item.file, tone(item.kind, 'bad'), item.problem]));
      }
      if (ok && format === 'table') process.stdout.write(`${path}: ${files.size} files, all as they were signed\n`);
      if (!ok) throw new CliFailure(EXIT.refused, `${path} does not verify: ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`, 'do not rely on it; ask its exporter for the bundle and the key again');
    });
}

function readKey(file: string): KeyObject {
  let pem: string;
  try {
    if (statSync(file).size > 64 * 1024) throw new Error('it is larger than 64 KiB');
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliFailure(EXIT.usage, `${file}: cannot be read: ${error instanceof Error ? error.message : 'unknown reason'}`);
  }
  const remedy = 'give the PEM that `sallyport evidence key` prints';
  // createPublicKey would take a private key too: an auditor who was handed one should know.
  if (!pem.includes('-----BEGIN PUBLIC KEY-----')) throw new CliFailure(EXIT.usage, `${file}: is not a public key in PEM`, remedy);
  try {
    return createPublicKey(pem);
  } catch {
    throw new CliFailure(EXIT.usage, `${file}: is not a public key in PEM`, remedy);
  }
}

function keyCommand(): Command {
  return apiCommand('key', 'show the public key that verifies bundles, to be handed over apart from them', 'sallyport evidence key -O auditor.pub.pem')
    .option('-O, --out <file>', 'write the PEM to a new file')
    .action(async (options: Options & { out?: string }) => {
      const key = await clientOf(options).get('/evidence/key', evidenceKey);
      if (options.out !== undefined) {
        write(options.out, true, Buffer.from(key.publicKeyPem), new Map());
        note(`${options.out}: key ${key.keyId}`);
      } else if (options.output === 'table') process.stdout.write(key.publicKeyPem);
      else show(options.output, key, [], []);
    });
}
