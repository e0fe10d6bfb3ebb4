import { setTimeout as sleep } from 'node:timers/promises';
import { type StrictPlan, strictPlan, type StrictStep } from '@sallyport/shared/api';
import { durationMs } from '@sallyport/shared/resources';
import type { Command } from 'commander';
import type { ApiClient } from '../client.ts';
import { apiCommand, clientOf, described, segment } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { age, coverageNote, type Format, note, protection, show } from '../output.ts';

interface Options {
  readonly output: Format;
  readonly server?: string;
}

/** `sallyport strict`: the step of a namespace from permissive to strict mTLS. */
export function strictCommand(): Command {
  return described('strict', 'step a namespace to strict mTLS: plan, apply, rollback', 'sallyport strict plan orders\nsallyport strict apply orders --wait')
    .addCommand(planCommand())
    .addCommand(applyStepCommand())
    .addCommand(rollbackCommand());
}

function planCommand(): Command {
  return apiCommand('plan', 'say whether the namespace can step, and who forbids it', 'sallyport strict plan orders -o json')
    .argument('<namespace>')
    .action(async (namespace: string, options: Options) => {
      printPlan(options.output, await clientOf(options).get(pathOf(namespace), strictPlan));
    });
}

function applyStepCommand(): Command {
  return apiCommand('apply', 'start the step; it is refused while the plan has blockers', 'sallyport strict apply orders --wait')
    .argument('<namespace>')
    .option('--wait', 'follow the step to its end; exit 1 when it was rolled back')
    .option('--timeout <duration>', 'how long to wait, such as 30m', '60m')
    .action(async (namespace: string, options: Options & { wait?: boolean; timeout: string }) => {
      const limit = Date.now() + durationOf(options.timeout);
      const client = clientOf(options);
      let plan = await start(client, namespace);
      if (options.wait === true) plan = await follow(client, namespace, plan, limit);
      if (options.output === 'table') note(plan.step ? describeStep(plan.step) : `${namespace}: no step is in progress`);
      else show(options.output, plan, [], []);
      if (options.wait === true && plan.step?.state !== 'succeeded') process.exitCode = EXIT.refused;
    });
}

function rollbackCommand(): Command {
  return apiCommand('rollback', 'end the step in progress, or undo the last one', 'sallyport strict rollback orders --reason "batch job found"')
    .argument('<namespace>')
    .option('--reason <text>', 'why, for the log')
    .action(async (namespace: string, options: Options & { reason?: string }) => {
      const body = options.reason === undefined ? {} : { reason: options.reason };
      const plan = await clientOf(options).post(`${pathOf(namespace)}/rollback`, body, strictPlan);
      if (options.output === 'table') note(plan.step ? describeStep(plan.step) : `${namespace} is ${plan.mode}`);
      else show(options.output, plan, [], []);
    });
}

function pathOf(namespace: string): string {
  return `/namespaces/${segment('namespace', namespace)}/strict`;
}

/** Most blockers that a refusal lists. */
const MOST_LISTED = 20;

/**
 * A refusal lists the blockers with their remedies, which the plan has. The API's sentence strings the same blockers
 * together, so only its beginning is kept.
 */
async function start(client: ApiClient, namespace: string): Promise<StrictPlan> {
  try {
    return await client.post(pathOf(namespace), {}, strictPlan);
  } catch (error) {
    if (!(error instanceof CliFailure) || error.exitCode !== EXIT.refused) throw error;
    const { blockers } = await client.get(pathOf(namespace), strictPlan);
    if (blockers.length === 0) throw error;
    const gate = `namespace ${namespace} cannot step to strict:`;
    const lines = blockers.slice(0, MOST_LISTED).map((item) => `  ${item.kind}: ${item.message}\n    ${item.remedy}`);
    const more = blockers.length > MOST_LISTED ? [`  and ${blockers.length - MOST_LISTED} more; see: sallyport strict plan ${namespace}`] : [];
    throw new CliFailure(EXIT.refused, [error.message.startsWith(gate) ? gate : error.message, ...lines, ...more].join('\n'), error.remedy);
  }
}

async function follow(client: ApiClient, namespace: string, started: StrictPlan, limit: number): Promise<StrictPlan> {
  let plan = started;
  const id = plan.step?.id;
  let told = 0;
  for (;;) {
    const { step } = plan;
    if (!step || step.id !== id) throw new CliFailure(EXIT.refused, `${namespace}: another step took the place of this one`, 'see: sallyport strict plan');
    for (const entry of step.log.slice(told)) note(`${entry.at}  ${entry.message}`);
    told = step.log.length;
    if (step.state !== 'watching-canary' && step.state !== 'watching-namespace') return plan;
    if (Date.now() > limit) throw new CliFailure(EXIT.refused, `${namespace}: the step is still ${step.state}`, 'it goes on; look again with: sallyport strict plan');
    await sleep(1_000);
    plan = await client.get(pathOf(namespace), strictPlan);
  }
}

function durationOf(text: string): number {
  try {
    return durationMs(text);
  } catch {
    throw new CliFailure(EXIT.usage, `--timeout: "${text}" is not a duration`, 'use for example 90s or 30m');
  }
}

function describeStep(step: StrictStep): string {
  const reason = step.reason === '' ? '' : `: ${step.reason}`;
  return `${step.namespace}: ${step.state}${reason} (started by ${step.startedBy} at ${step.startedAt}, ${step.refusals} refusals)`;
}

function printPlan(format: Format, plan: StrictPlan): void {
  const now = Date.parse(plan.window.to);
  if (format !== 'table' || plan.blockers.length > 0) {
    show(
      format,
      plan,
      ['BLOCKER', 'SOURCE', 'DESTINATION', 'PORT', 'COUNT', 'LAST SEEN', 'REMEDY'],
      plan.blockers.map((item) => [
        item.kind,
        item.source.workload === null ? item.source.ip : `${item.source.workload} (${item.source.ip ?? '-'})`,
        `${item.destination.namespace}/${item.destination.service ?? item.destination.workload ?? '*'}`,
        item.port, item.count, age(item.lastSeen, now), item.remedy,
      ]),
    );
  }
  if (format !== 'table') return;
  const ready = plan.mode === 'STRICT' ? 'already STRICT' : plan.ready ? 'ready to step' : 'NOT ready';
  note(`${plan.namespace}: ${plan.mode}, ${ready}; mTLS ${protection(plan.calls).text} since ${plan.window.from}; ${coverageNote(plan.coverage)}`);
  if (plan.step) note(describeStep(plan.step));
}
