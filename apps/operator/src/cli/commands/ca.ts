import { caActionView, type CaActionView, type CaCertificate, type CaView, caView } from '@sallyport/shared/api';
import { duration, durationMs } from '@sallyport/shared/resources';
import type { Command } from 'commander';
import { KeyStoreError } from '../../ca/key-encryption.ts';
import { repairCa, type RepairOptions } from '../../ca/repair.ts';
import { apiCommand, clientOf, described, outputOption } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { age, type Format, note, show, tone, until } from '../output.ts';

interface Options {
  readonly output: Format;
  readonly server?: string;
}

/** `sallyport ca` */
export function caCommand(): Command {
  return described('ca', 'see and rotate the certificate authority', 'sallyport ca status')
    .addCommand(statusCommand())
    .addCommand(actionCommand('rotate-root', 'prepare and publish the next root; it signs once every live proxy has acknowledged it'))
    .addCommand(actionCommand('rotate-issuer', 'replace the issuing certificate at once; proxies need no other root for it'))
    .addCommand(actionCommand('activate', 'let the published root sign').option('--force', 'although proxies have not acknowledged it: they cannot verify the others afterwards'))
    .addCommand(repairCommand());
}

function statusCommand(): Command {
  return apiCommand('status', 'list CA certificates and bundle entries, what comes next and who holds it up', 'sallyport ca status -o json').action(async (options: Options) => {
    printStatus(options.output, await clientOf(options).get('/ca', caView));
  });
}

function actionCommand(name: string, description: string): Command {
  return apiCommand(name, description, `sallyport ca ${name}`).action(async (options: Options & { force?: boolean }) => {
    const view = await clientOf(options).post(`/ca/${name}`, options.force === undefined ? {} : { force: options.force }, caActionView).catch(inOurWords);
    if (options.output === 'table') printAction(view);
    else show(options.output, view, [], []);
  });
}

/** The API says what may be done; here it has the name of an option. */
function inOurWords(error: unknown): never {
  if (!(error instanceof CliFailure) || error.remedy === null) throw error;
  throw new CliFailure(error.exitCode, error.message, error.remedy.replaceAll('by force', 'with --force').replace('rotate the root first', 'begin with: sallyport ca rotate-root'));
}

function printAction({ steps, breaking, ca }: CaActionView): void {
  for (const { step, role, subject } of steps) note(`${step} ${role} ${subject}`);
  if (breaking.length > 0) note(`These proxies had not acknowledged it and cannot verify the others now: ${breaking.join(', ')}`);
  printStatus('table', ca);
}

function printStatus(format: Format, view: CaView): void {
  const now = Date.now();
  const tones = { active: 'good', published: 'warn', prepared: 'quiet', old: 'quiet', removed: 'quiet' } as const;
  show(
    format,
    view,
    ['ROLE', 'STATE', 'SUBJECT', 'PARENT', 'BUNDLE', 'AGE', 'USED', 'EXPIRES IN', 'NEXT', 'FINGERPRINT'],
    view.certificates.map((entry) => [
      entry.role, tone(entry.state, tones[entry.state]), entry.subject, entry.parent, entry.sequence, age(entry.notBefore, now),
      entry.lifetimeUsed >= 1 ? tone('expired', 'bad') : `${Math.floor(entry.lifetimeUsed * 100)}%`, until(entry.notAfter, now), nextText(entry, now), entry.fingerprint.slice(0, 17),
    ]),
  );
  if (format !== 'table') return;
  note(`${view.trustDomain}: bundle ${view.bundle.sequence} with ${view.bundle.roots} roots; parent ${view.parent.wanted}: ${view.parent.message}`);
  for (const { proxy, acknowledged } of view.lagging) note(`proxy ${proxy} has ${acknowledged === null ? 'acknowledged no bundle' : `bundle ${acknowledged}`}`);
  if (view.record === 'intact') return;
  note('sallyport: the hash chain of the record of issuance is BROKEN: a row was changed or removed');
  process.exitCode = EXIT.refused;
}

function nextText({ next }: CaCertificate, now: number): string | null {
  if (!next) return null;
  const after = next.waitsFor.length > 0 ? ` after ${next.waitsFor.join(', ')}` : '';
  return `${next.step}${next.at === null ? after : ` in ${until(next.at, now)}`}`;
}

interface RepairFlags {
  readonly output: Format;
  readonly offline?: boolean;
  readonly stateDir?: string;
  readonly trustDomain?: string;
  readonly kekFile?: string;
  readonly abandonKeys?: boolean;
  readonly rootLifetime: string;
  readonly issuerLifetime: string;
}

function repairCommand(): Command {
  return described('repair', 'make a CA whose root, issuer or keys are lost or expired able to issue again', 'sallyport ca repair --offline --state-dir /var/lib/sallyport --trust-domain shop.test')
    .addOption(outputOption())
    .option('--offline', 'says that no operator runs on the state directory')
    .option('--state-dir <directory>', 'the operator’s state directory (default: SALLYPORT_STATE_DIR)')
    .option('--trust-domain <name>', 'its trust domain (default: SALLYPORT_TRUST_DOMAIN)')
    .option('--kek-file <file>', 'the key-encryption key (default: SALLYPORT_KEK_FILE, else beside the keys)')
    .option('--abandon-keys', 'set keys aside that the key-encryption key does not open')
    .option('--root-lifetime <duration>', 'life of a new root', '26280h')
    .option('--issuer-lifetime <duration>', 'life of a new issuer', '720h')
    .action(async (flags: RepairFlags) => repair(flags));
}

async function repair(flags: RepairFlags): Promise<void> {
  if (flags.offline !== true) throw new CliFailure(EXIT.usage, 'repair works on files that a running operator would overwrite', 'stop the operator, then add --offline; a running one is served by: sallyport ca rotate-root');
  const result = await repairCa(repairOptions(flags, process.env)).catch((error: unknown) => {
    throw error instanceof KeyStoreError ? new CliFailure(EXIT.refused, error.message, 'if the keys are lost for good, add --abandon-keys: a new root is made then') : error;
  });
  show(flags.output, result, ['ROLE', 'MADE'], result.made.map(({ role, subject }) => [role, subject]));
  if (flags.output !== 'table') return;
  for (const problem of result.problems) note(`found: ${problem}`);
  if (result.problems.length === 0) note('nothing to repair: root and issuer are valid and their keys open');
  if (result.newRoot) note(`Start the operator, and put ${result.bundleFile} in the place of SALLYPORT_BOOTSTRAP_BUNDLE_FILE of each proxy: they read it at their next attempt.`);
}

function repairOptions(flags: RepairFlags, env: NodeJS.ProcessEnv): RepairOptions {
  const directory = flags.stateDir ?? env['SALLYPORT_STATE_DIR'];
  const trustDomain = flags.trustDomain ?? env['SALLYPORT_TRUST_DOMAIN'];
  if (directory === undefined || trustDomain === undefined) throw new CliFailure(EXIT.usage, 'the state directory and the trust domain must be named', 'add --state-dir and --trust-domain');
  return {
    directory, trustDomain, now: Date.now(),
    kekFile: flags.kekFile ?? env['SALLYPORT_KEK_FILE'] ?? null,
    abandonKeys: flags.abandonKeys === true,
    rootLifetime: lifetime('--root-lifetime', flags.rootLifetime),
    issuerLifetime: lifetime('--issuer-lifetime', flags.issuerLifetime),
  };
}

function lifetime(flag: string, text: string): number {
  if (!duration.safeParse(text).success) throw new CliFailure(EXIT.usage, `${flag}: "${text.slice(0, 20)}" is not a duration`, 'use for example 720h');
  return durationMs(text);
}
