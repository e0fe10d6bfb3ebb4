import { auditView, certificatesView, deniesView, namespacesView, proxiesView, shadowsView, signalsView } from '@sallyport/shared/api';
import type { Command } from 'commander';
import { apiCommand, clientOf, query } from '../command.ts';
import { age, coverageNote, type Format, note, protection, show, tone, until } from '../output.ts';

interface Options {
  readonly output: Format;
  readonly server?: string;
}
type WindowOptions = Options & { readonly window: string };

/** `sallyport namespaces` */
export function namespacesCommand(): Command {
  return apiCommand('namespaces', 'list namespaces with mode, protection and maturity stage', 'sallyport namespaces --window 1h')
    .option('--window <duration>', 'how far back', '15m')
    .action(async (options: WindowOptions) => {
      const view = await clientOf(options).get(`/namespaces${query({ window: options.window })}`, namespacesView);
      show(
        options.output,
        view,
        ['NAME', 'MODE', 'WORKLOADS', 'MESHED', 'LIVE', 'SERVICES', 'POLICIES', 'MTLS', 'DENIED', 'STAGE'],
        view.items.map((item) => [
          item.name, tone(item.mode, item.mode === 'STRICT' ? 'good' : 'warn'), item.workloads.total, item.workloads.meshed, item.workloads.live,
          item.services, item.policies, protection(item.mtls), item.denied, item.stage,
        ]),
      );
      if (options.output === 'table') note(coverageNote(view.coverage));
    });
}

/** `sallyport certs`: in JSON an array of exactly these fields, which others rely on. */
export function certsCommand(): Command {
  return apiCommand('certs', 'list the newest certificate of each workload', 'sallyport certs -o json').action(async (options: Options) => {
    const view = await clientOf(options).get('/certificates', certificatesView);
    const items = view.items.map(({ spiffeId, serial, issuer, notBefore, notAfter, lifetimeUsed, workload, namespace }) => ({
      spiffeId, serial, issuer, notBefore, notAfter, lifetimeUsed, workload, namespace,
    }));
    const now = Date.now();
    show(
      options.output,
      items,
      ['NAMESPACE', 'WORKLOAD', 'SPIFFE ID', 'SERIAL', 'USED', 'ROTATES IN', 'EXPIRES IN', 'STATE'],
      view.items.map((item) => [
        item.namespace, item.workload, item.spiffeId, item.serial.slice(0, 12), `${Math.floor(item.lifetimeUsed * 100)}%`,
        until(item.nextRotation, now), until(item.notAfter, now), tone(item.state, item.state === 'served' ? 'good' : item.state === 'recorded' ? 'quiet' : 'bad'),
      ]),
    );
    if (options.output === 'table') note(`issuer ${view.issuer.subject}, expires ${view.issuer.notAfter}; ${coverageNote(view.coverage)}`);
  });
}

/** `sallyport signals` */
export function signalsCommand(): Command {
  return apiCommand('signals', 'list signals of attack, drift or lost sight', 'sallyport signals --state closed')
    .option('--state <state>', 'open or closed', 'open')
    .action(async (options: Options & { state: string }) => {
      const view = await clientOf(options).get(`/signals${query({ state: options.state })}`, signalsView);
      const now = Date.now();
      show(
        options.output,
        view,
        ['SEVERITY', 'KIND', 'SUBJECT', 'NAMESPACE', 'COUNT', 'OPENED', 'LAST SEEN', 'TITLE'],
        view.items.map((item) => [
          tone(item.severity, item.severity === 'critical' ? 'bad' : item.severity === 'warning' ? 'warn' : 'quiet'),
          item.kind, item.subject, item.namespace, item.count, age(item.openedAt, now), age(item.lastSeen, now), item.title,
        ]),
      );
      // No signal means something only as far as anyone was looking.
      if (options.output === 'table') note(coverageNote(view.coverage));
    });
}

/** `sallyport denies` */
export function deniesCommand(): Command {
  return apiCommand('denies', 'list denied calls, newest first', 'sallyport denies --window 1h -n payments')
    .option('--window <duration>', 'how far back', '15m')
    .option('-n, --namespace <namespace>', 'only calls to this namespace')
    .option('--limit <count>', 'most calls to list', '100')
    .action(async (options: WindowOptions & { namespace?: string; limit: string }) => {
      const { window, namespace, limit } = options;
      const view = await clientOf(options).get(`/denies${query({ window, namespace, limit })}`, deniesView);
      const now = Date.now();
      show(
        options.output,
        view,
        ['AGE', 'SOURCE', 'DESTINATION', 'PORT', 'METHOD', 'PATH', 'REASON', 'POLICY'],
        view.items.map(({ at, source, destination, method, path, reason, policy }) => [
          age(at, now), source.principal ?? `${source.ip} (plaintext)`, `${destination.namespace}/${destination.service ?? destination.workload}`,
          destination.port, method, path, reason, policy,
        ]),
      );
      if (options.output === 'table') note(`${view.items.length} of ${view.total} shown; ${coverageNote(view.coverage)}`);
    });
}

/** `sallyport shadows` */
export function shadowsCommand(): Command {
  return apiCommand('shadows', 'count what DryRun and AUDIT policies matched, which decided nothing', 'sallyport shadows --window 24h -n payments')
    .option('--window <duration>', 'how far back', '15m')
    .option('-n, --namespace <namespace>', 'only calls to this namespace')
    .action(async (options: WindowOptions & { namespace?: string }) => {
      const { window, namespace } = options;
      const view = await clientOf(options).get(`/shadows${query({ window, namespace })}`, shadowsView);
      show(
        options.output,
        view,
        ['POLICY', 'ACTION', 'RULE', 'WORKLOAD', 'PORT', 'CALLS'],
        view.items.map((each) => [each.policy, each.action, each.rule, `${each.namespace}/${each.workload}`, each.port, each.count]),
      );
      if (options.output === 'table') note(`${view.window.from} to ${view.window.to}: ${coverageNote(view.coverage)}`);
    });
}

/** `sallyport proxies` */
export function proxiesCommand(): Command {
  return apiCommand('proxies', 'list proxies with freshness and configuration', 'sallyport proxies').action(async (options: Options) => {
    const view = await clientOf(options).get('/proxies', proxiesView);
    const now = Date.now();
    show(
      options.output,
      view,
      ['NAME', 'ROLE', 'STATE', 'LAST REPORT', 'WORKLOADS', 'CONFIG', 'ACKED', 'REFUSED', 'AGE'],
      view.items.map((item) => [
        item.name, item.role, item.live ? tone('live', 'good') : tone('silent', 'bad'), age(item.lastReport, now), item.workloads,
        item.configVersion, age(item.lastAck, now), item.nack, age(item.enrolledAt, now),
      ]),
    );
  });
}

/** `sallyport audit`: fails when the hash chain is broken. */
export function auditCommand(): Command {
  return apiCommand('audit', 'list who changed what, newest first', 'sallyport audit --limit 20')
    .option('--limit <count>', 'most entries to list', '50')
    .option('--before <seq>', 'only entries before this number')
    .action(async (options: Options & { limit: string; before?: string }) => {
      const view = await clientOf(options).get(`/audit${query({ limit: options.limit, before: options.before })}`, auditView);
      const now = Date.now();
      show(
        options.output,
        view,
        ['SEQ', 'AGE', 'ACTOR', 'VIA', 'ACTION', 'RESOURCE', 'HASH'],
        view.items.map((item) => [item.seq, age(item.at, now), item.actor, item.via, item.action, item.resource, item.hash.slice(0, 12)]),
      );
      if (view.chain === 'intact') return;
      note('sallyport: the hash chain of the audit log is BROKEN: an entry was changed or removed');
      process.exitCode = 1;
    });
}
