import { blastRadius, diff, explain, lint, overlay, overPermission, reach, replay, suggest } from '@sallyport/shared/analysis';
import type { Resource } from '@sallyport/shared/resources';
import { Command } from 'commander';
import { apiCommand, clientOf, described } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Format, show } from '../output.ts';
import { callOf, type CallOptions, destinationOf, identityOf } from '../policy/call.ts';
import { type Material, materialOf, readFlows, readResources, storedResources } from '../policy/load.ts';
import { printDiff, printExplanation, printFindings, printRadius, printReach, printReplay, printSuggestion, printUnused } from '../policy/print.ts';

interface Options {
  readonly output: Format;
  readonly server?: string;
  readonly filename?: string[];
}

const CODES = '\nExit codes: 0 nothing found or no difference, 1 findings or differences, 2 usage or a bad file, 3 cannot reach or sign in.';

/** `sallyport policy …`: offline on the files of `-f`, else on what is stored. */
export function policyCommand(): Command {
  const policy = described('policy', 'understand policies: explain, diff, reach, suggest, replay, lint', 'sallyport policy explain --from shop/web --to payments/card:8080 --method POST --path /charge\nsallyport policy diff --before old/ --after new/');
  for (const command of [explainCommand(), diffCommand(), reachCommand(), suggestCommand(), replayCommand(), lintCommand()]) policy.addCommand(command);
  return policy;
}

function analysis(name: string, description: string, example: string): Command {
  return apiCommand(name, description, example)
    .option('-f, --filename <path...>', 'work offline on these files and directories: Mesh, Workload, Service and policies (default: what is stored)')
    .addHelpText('after', CODES);
}

async function material(options: Options): Promise<Material> {
  return materialOf(options.filename === undefined ? await storedResources(clientOf(options)) : await readResources(options.filename));
}

/** Prints as people or programs want it. */
function print<T>(format: Format, value: T, table: (value: T) => void): void {
  if (format === 'table') table(value);
  else show(format, value, [], []);
}

function found(any: boolean): void {
  if (any) process.exitCode = EXIT.refused;
}

function explainCommand(): Command {
  return analysis('explain', 'say what decides one call, clause by clause', 'sallyport policy explain -f mesh/ --from shop/web --to payments/card:8080 --method POST --path "/charge?x=1"\nsallyport policy explain --from plaintext --to payments/card')
    .requiredOption('--to <destination>', 'namespace/workload or namespace/service, with :port if it has several')
    .requiredOption('--from <identity>', 'namespace/workload, namespace/service-account, a SPIFFE ID or plaintext')
    .option('--method <method>', 'HTTP method', 'GET')
    .option('--path <path>', 'request target as on the wire', '/')
    .option('--host <host>', 'Host header')
    .option('--header <name=value...>', 'request headers')
    .option('--ip <address>', "the direct peer's address")
    .option('--remote-ip <address>', 'the client behind trusted proxies')
    .option('--sni <name>', 'server name of the TLS handshake')
    .option('--claims <json>', 'claims of a token that was accepted')
    .option('--tcp', 'a TCP connection instead of an HTTP request')
    .action(async (options: Options & CallOptions) => {
      const given = await material(options);
      const { workload, request } = callOf(options, given);
      print(options.output, explain({ policies: given.policies, workload, services: given.universe.services }, request), printExplanation);
    });
}

interface CompareOptions extends Options {
  readonly before?: string[];
  readonly after: string[];
}

/** Offline two whole sets; without `--before` what is stored, and the same with the files in place. */
async function compared(options: CompareOptions): Promise<{ before: Material; after: Material }> {
  const proposed = await readResources(options.after);
  if (options.before !== undefined) {
    const beside = options.filename === undefined ? [] : await readResources(options.filename);
    const previous = await readResources(options.before);
    return { before: materialOf([...beside, ...previous], proposed), after: materialOf([...beside, ...proposed], previous) };
  }
  const given: readonly Resource[] = options.filename === undefined ? await storedResources(clientOf(options)) : await readResources(options.filename);
  const before = materialOf(given, proposed);
  const after = materialOf([...given, ...proposed]);
  return { before, after: { ...after, policies: overlay(before.policies, proposed) } };
}

function comparing(command: Command): Command {
  return command
    .requiredOption('--after <path...>', 'files or directories with the proposed resources')
    .option('--before <path...>', 'files or directories with the whole set to compare with (default: what is stored, or the files of -f, with the proposed ones in place)');
}

function diffCommand(): Command {
  return comparing(analysis('diff', 'find every class of calls whose verdict changes, with a call that shows it', 'sallyport policy diff --before old/ --after new/\nsallyport policy diff --after proposal.yaml'))
    .option('--limit <count>', 'most classes to list', '100')
    .action(async (options: CompareOptions & { limit: string }) => {
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1) throw new CliFailure(EXIT.usage, `--limit ${options.limit} is not a whole number from 1`);
      const { before, after } = await compared(options);
      const result = diff(before.policies, after.policies, after.universe, { limit });
      print(options.output, result, printDiff);
      found(!result.equal);
    });
}

interface FlowOptions {
  readonly window: string;
  readonly flows?: string;
  readonly namespace?: string;
}

function withFlows(command: Command): Command {
  return command
    .option('--flows <file>', 'recorded flows as JSON, as GET /api/v1/flows answers (default: those of the server)')
    .option('--window <duration>', 'how far back, such as 15m or 24h', '24h');
}

async function recorded(options: Options & FlowOptions) {
  if (options.filename !== undefined && options.flows === undefined && options.server === undefined) throw new CliFailure(EXIT.usage, 'offline there are no recorded flows', 'give them with --flows FILE, or name a server with --server');
  return readFlows(options.flows, () => clientOf(options), { window: options.window, namespace: options.namespace });
}

function reachCommand(): Command {
  return withFlows(analysis('reach', 'say who reaches a workload, or how far an identity gets', 'sallyport policy reach --to payments/card\nsallyport policy reach --from shop/web\nsallyport policy reach --unused --window 168h'))
    .option('--to <workload>', 'only who reaches this namespace/workload or service (default: all)')
    .option('--from <identity>', 'how far this identity gets, hop by hop, if each workload that it reaches falls')
    .option('--unused', 'only what is allowed by identity and was not used in the window')
    .action(async (options: Options & FlowOptions & { to?: string; from?: string; unused?: boolean }) => {
      if ([options.to, options.from, options.unused].filter((option) => option !== undefined).length > 1) throw new CliFailure(EXIT.usage, 'only one of --to, --from and --unused can be asked at a time');
      const given = await material(options);
      const { policies, universe } = given;
      if (options.from !== undefined) return print(options.output, blastRadius(policies, universe, identityOf(options.from, given).principal), printRadius);
      if (options.unused === true) {
        const result = overPermission(policies, universe, await recorded(options));
        print(options.output, result, printUnused);
        return found(result.unusedIdentities.length > 0 || result.unusedRules.length > 0);
      }
      const targets = options.to === undefined ? universe.workloads : [destinationOf(options.to, given).workload];
      print(options.output, reach(policies, universe, targets), printReach);
    });
}

function suggestCommand(): Command {
  return withFlows(analysis('suggest', 'write least-privilege ALLOW policies from recorded flows', 'sallyport policy suggest -n payments --window 168h > payments.yaml\nsallyport policy suggest -f mesh/ --flows flows.json'))
    .option('-n, --namespace <namespace>', 'only workloads of this namespace')
    .option('--admit-denied', 'also admit calls that the present policies deny')
    .option('--admit-plaintext', 'admit callers without identity by their address')
    .action(async (options: Options & FlowOptions & { admitDenied?: boolean; admitPlaintext?: boolean }) => {
      const { policies, universe } = await material(options);
      const flows = await recorded(options);
      const result = suggest({ policies, universe, flows, namespace: options.namespace, admitDenied: options.admitDenied === true, admitPlaintext: options.admitPlaintext === true });
      print(options.output, result, printSuggestion);
    });
}

function replayCommand(): Command {
  return withFlows(comparing(analysis('replay', 'replay recorded calls through proposed policies', 'sallyport policy replay --after proposal.yaml --window 24h\nsallyport policy replay -f mesh/ --after proposal.yaml --flows flows.json')))
    .action(async (options: CompareOptions & FlowOptions) => {
      const { before, after } = await compared(options);
      const result = replay(await recorded(options.before === undefined ? options : { ...options, filename: options.before }), before.policies, after.policies, after.universe);
      print(options.output, result, printReplay);
      found(result.wouldDeny.length + result.wouldAllow.length + result.wouldAsk.length > 0);
    });
}

function lintCommand(): Command {
  return analysis('lint', 'find what the author of a policy probably did not mean', 'sallyport policy lint -f policies/')
    .action(async (options: Options) => {
      const { policies, universe } = await material(options);
      const findings = lint(policies, universe);
      print(options.output, findings, printFindings);
      found(findings.some(({ severity }) => severity === 'error'));
    });
}
