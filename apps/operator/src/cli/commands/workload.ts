import { setTimeout as sleep } from 'node:timers/promises';
import { parseResource, type Resource } from '@sallyport/shared/resources';
import type { Command } from 'commander';
import { z } from 'zod';
import type { ApiClient } from '../client.ts';
import { apiCommand, clientOf, described, segment } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Format, note, show } from '../output.ts';
import { pathOf } from './resources.ts';

const WAIT_MS = 60_000;

/** `sallyport workload` */
export function workloadCommand(): Command {
  return described('workload', 'act on workloads', 'sallyport workload enroll billing/legacy-billing').addCommand(enrollCommand());
}

function enrollCommand(): Command {
  return apiCommand('enroll', 'put a known workload behind a proxy, so that it has an identity', 'sallyport workload enroll billing/legacy-billing --wait')
    .argument('<namespace/name>')
    .option('--proxy <name>', 'the proxy to serve it (default: the node proxy that serves most of its namespace)')
    .option('--wait', 'return when its proxy serves it')
    .action(async (target: string, options: { output: Format; server?: string; proxy?: string; wait?: boolean }) => {
      const [namespace, name, rest] = target.split('/');
      if (!namespace || !name || rest !== undefined) throw new CliFailure(EXIT.usage, `"${target}" is not NAMESPACE/NAME`, 'for example billing/legacy-billing');
      const client = clientOf(options);
      const path = `/workloads/${segment('namespace', namespace)}/${segment('name', name)}/enroll`;
      const body = options.proxy === undefined ? {} : { proxy: options.proxy };
      let workload = parseResource(await client.post(path, body, z.unknown()));
      if (options.wait === true) workload = await untilProgrammed(client, namespace, name);
      if (options.output !== 'table') show(options.output, workload, [], []);
      else process.stdout.write(`workload ${target} enrolled with proxy ${workload.kind === 'Workload' ? (workload.spec.proxy ?? '-') : '-'}\n`);
      if (options.output === 'table' && options.wait !== true) note('Its calls are mTLS once it sends them through its outbound listener.');
    });
}

async function untilProgrammed(client: ApiClient, namespace: string, name: string): Promise<Resource> {
  const limit = Date.now() + WAIT_MS;
  for (;;) {
    const workload = parseResource(await client.get(pathOf('Workload', name, namespace), z.unknown()));
    const condition = workload.status?.conditions?.find(({ type }) => type === 'Programmed');
    const current = condition?.observedGeneration === workload.metadata.generation;
    if (current && condition?.status === 'True') return workload;
    if (current && condition?.status === 'False') {
      throw new CliFailure(EXIT.refused, `${namespace}/${name}: ${condition.message}`, 'see: sallyport proxies');
    }
    if (Date.now() > limit) {
      throw new CliFailure(EXIT.refused, `${namespace}/${name}: its proxy has not confirmed it in ${WAIT_MS / 1000} s: ${condition?.message ?? 'no status yet'}`, 'it goes on; see: sallyport proxies');
    }
    await sleep(500);
  }
}
