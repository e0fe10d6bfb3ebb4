import { applyView, resourceList } from '@sallyport/shared/api';
import { formatProblem, InvalidResourceError, isKind, type Kind, KINDS, MAX_MANIFEST_BYTES, parseManifest, parseResource, type Resource } from '@sallyport/shared/resources';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { ApiClient } from '../client.ts';
import { apiCommand, clientOf, query, segment } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { filesOf, nameOf, readText } from '../files.ts';
import { age, type Cell, type Format, note, type Row, show, tone } from '../output.ts';

interface Options {
  readonly output: Format;
  readonly server?: string;
  readonly namespace?: string;
}

/** `sallyport apply` */
export function applyCommand(): Command {
  return apiCommand('apply', 'create or change resources: all of them or none', 'sallyport apply -f policy.yaml --dry-run\ncat policy.yaml | sallyport apply -f -')
    .requiredOption('-f, --filename <path...>', 'files, directories (their .yaml, .yml and .json files) or - for standard input')
    .option('--dry-run', 'check and change nothing')
    .option('--force', 'take over fields that somebody else manages')
    .action(async (options: Options & { filename: string[]; dryRun?: boolean; force?: boolean }) => {
      const manifest = await readManifests(options.filename);
      const request = { manifest, dryRun: options.dryRun === true, force: options.force === true, manager: 'sallyport' };
      const view = await clientOf(options).post('/apply', request, applyView);
      if (options.output === 'table') {
        for (const { kind, namespace, name, action } of view.results) {
          process.stdout.write(`${kind.toLowerCase()} ${namespace === null ? '' : `${namespace}/`}${name} ${action}${view.dryRun ? ' (dry run)' : ''}\n`);
        }
      } else show(options.output, view, [], []);
    });
}

async function readManifests(paths: readonly string[]): Promise<string> {
  const files = paths.flatMap((path) => filesOf(path, MAX_MANIFEST_BYTES));
  const texts: string[] = [];
  let size = 0;
  for (const file of files) {
    const text = await readText(file);
    size += Buffer.byteLength(text) + 5;
    if (size > MAX_MANIFEST_BYTES) throw new CliFailure(EXIT.usage, `${file}: together more than ${MAX_MANIFEST_BYTES} bytes`, 'apply them in several commands');
    check(file, text);
    texts.push(text.endsWith('\n') ? text : `${text}\n`);
  }
  return texts.join('---\n');
}

/** Checked here too, because only here is it known which file a document is in. */
function check(file: string, text: string): void {
  try {
    if (parseManifest(text).length === 0) throw new CliFailure(EXIT.usage, `${file}: holds no resource`);
  } catch (error) {
    if (!(error instanceof InvalidResourceError)) throw error;
    const problems = error.problems.map((problem) => `${nameOf(file)}: ${formatProblem(problem)}`);
    throw new CliFailure(EXIT.usage, problems.slice(0, 20).join('\n'), 'correct the named fields; nothing was changed');
  }
}

/** `sallyport get` */
export function getCommand(): Command {
  return apiCommand('get', 'show resources of a kind', 'sallyport get authorizationpolicies -n payments\nsallyport get wl frontend -n storefront -o yaml')
    .argument('<kind>', `kind, plural or short name: ${kindNames()}`)
    .argument('[name]', 'only this one')
    .option('-n, --namespace <namespace>', 'namespace (default: all)')
    .action(async (kindText: string, name: string | undefined, options: Options) => {
      const kind = kindOf(kindText);
      const found = await read(clientOf(options), kind, name, options);
      if (options.output === 'yaml') {
        process.stdout.write(found.map((item) => stringify(item, { aliasDuplicateObjects: false })).join('---\n'));
        if (found.length === 0) note('Nothing found.');
        return;
      }
      const now = Date.now();
      const namespaced = KINDS[kind].namespaced;
      const header = [...(namespaced ? ['NAMESPACE'] : []), 'NAME', ...HEADERS[kind], 'AGE'];
      const value = name === undefined ? { items: found } : found[0];
      show(options.output, value, header, found.map((item) => [
        ...(namespaced ? [item.metadata.namespace ?? null] : []), item.metadata.name, ...columns(item), age(item.metadata.creationTimestamp, now),
      ]));
    });
}

async function read(client: ApiClient, kind: Kind, name: string | undefined, options: Options): Promise<Resource[]> {
  if (name !== undefined) return [asResource(await client.get(pathOf(kind, name, options.namespace), z.unknown()))];
  const namespace = options.namespace === undefined ? undefined : segment('namespace', options.namespace);
  const list = await client.get(`/resources/${KINDS[kind].plural}${query({ namespace })}`, resourceList);
  return list.items.map(asResource);
}

/** One object of an answer of the API. @throws CliFailure for one of another version */
export function asResource(value: unknown): Resource {
  try {
    return parseResource(value);
  } catch (error) {
    if (!(error instanceof InvalidResourceError)) throw error;
    throw new CliFailure(EXIT.unreachable, `the answer is not of this version's form: ${error.message}`, 'is the server of the same version as this command?');
  }
}

/** Path of one resource of the API. @throws CliFailure when the namespace is missing or too much */
export function pathOf(kind: Kind, name: string, namespace: string | undefined): string {
  const { plural, namespaced } = KINDS[kind];
  if (namespaced && namespace === undefined) throw new CliFailure(EXIT.usage, `${kind} ${name}: a namespace is needed`, 'add -n NAMESPACE');
  if (!namespaced && namespace !== undefined) throw new CliFailure(EXIT.usage, `${kind} belongs to no namespace`, 'leave out -n');
  return `/resources/${plural}/${namespace === undefined ? '' : `${segment('namespace', namespace)}/`}${segment('name', name)}`;
}

/** `sallyport delete` */
export function deleteCommand(): Command {
  return apiCommand('delete', 'delete one resource', 'sallyport delete authorizationpolicy payment -n payments')
    .argument('<kind>', `kind, plural or short name: ${kindNames()}`)
    .argument('<name>')
    .option('-n, --namespace <namespace>', 'its namespace')
    .action(async (kindText: string, name: string, options: Options) => {
      const kind = kindOf(kindText);
      await clientOf(options).delete(pathOf(kind, name, options.namespace));
      const deleted = { kind, namespace: options.namespace ?? null, name, action: 'deleted' };
      if (options.output !== 'table') show(options.output, deleted, [], []);
      else process.stdout.write(`${kind.toLowerCase()} ${options.namespace === undefined ? '' : `${options.namespace}/`}${name} deleted\n`);
    });
}

function kindNames(): string {
  return Object.values(KINDS).map(({ plural, short }) => `${plural} (${short})`).join(', ');
}

function kindOf(text: string): Kind {
  const wanted = text.toLowerCase();
  const found = Object.entries(KINDS).find(([name, { plural, short }]) => [name.toLowerCase(), plural, short].includes(wanted))?.[0];
  if (found === undefined || !isKind(found)) throw new CliFailure(EXIT.usage, `there is no kind "${text}"`, `use one of ${kindNames()}`);
  return found;
}

const HEADERS: Readonly<Record<Kind, readonly string[]>> = {
  Mesh: ['TRUST DOMAIN'],
  Workload: ['PROXY', 'ADDRESS', 'SERVICE ACCOUNT', 'PROGRAMMED'],
  Service: ['PORTS', 'PROGRAMMED'],
  PeerAuthentication: ['MODE', 'PROGRAMMED'],
  AuthorizationPolicy: ['ACTION', 'ENFORCEMENT', 'PROGRAMMED'],
  RequestAuthentication: ['ISSUERS', 'PROGRAMMED'],
  TrafficPolicy: ['SERVICES', 'ACCEPTED', 'PROGRAMMED'],
  ExpectedGraph: ['EDGES', 'RESOLVED'],
  FederatedTrustDomain: ['TRUST DOMAIN', 'PROFILE', 'BUNDLE'],
};

function columns(item: Resource): Row {
  if (item.kind === 'Mesh') return [item.spec.trustDomain];
  if (item.kind === 'Workload') return [item.spec.proxy === undefined ? tone('none', 'warn') : item.spec.proxy, item.spec.address, item.spec.serviceAccount, conditionCell(item, 'Programmed')];
  if (item.kind === 'Service') return [item.spec.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(','), conditionCell(item, 'Programmed')];
  if (item.kind === 'PeerAuthentication') return [item.spec.mtls?.mode ?? 'UNSET', conditionCell(item, 'Programmed')];
  if (item.kind === 'AuthorizationPolicy') return [item.spec.action, item.spec.enforcement, conditionCell(item, 'Programmed')];
  if (item.kind === 'RequestAuthentication') return [item.spec.jwtRules.map(({ issuer }) => issuer).join(','), conditionCell(item, 'Programmed')];
  if (item.kind === 'FederatedTrustDomain') return [item.spec.trustDomain, item.spec.bundleEndpointProfile.type, conditionCell(item, 'BundleFetched')];
  if (item.kind === 'TrafficPolicy') return [item.spec.targetRefs.map(({ name }) => name).join(','), conditionCell(item, 'Accepted'), conditionCell(item, 'Programmed')];
  return [item.spec.edges.length, conditionCell(item, 'ResolvedRefs')];
}

/** A condition of an older generation says nothing about the present one. */
function conditionCell(item: Resource, type: string): Cell {
  const condition = item.status?.conditions?.find((candidate) => candidate.type === type);
  if (!condition) return tone('-', 'quiet');
  if (condition.observedGeneration !== item.metadata.generation) return tone('Pending', 'warn');
  if (condition.status === 'True') return tone('True', 'good');
  return tone(`${condition.status} (${condition.reason})`, condition.status === 'False' ? 'bad' : 'warn');
}
