import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkFederation } from '../demo/federation.ts';
import { recoverEach } from '../demo/recovery.ts';
import { certManager } from './kube/cert-manager/build.ts';
import { kubeAssets, type KubeAssets } from './kube/assets.ts';
import { ensureBrowser, ensureOpenssl } from './machine.ts';
import { readPlaywright, readVitest } from './reports.ts';
import { check, command, countsLine, endCommands, failure, runStages, type Stage } from './stages.ts';

/** `npm test`: static checks, unit and integration tests, then the journeys in a browser against a real demo. */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE = process.execPath;
const started = Date.now();

function say(text: string): void {
  console.log(`[${String(Math.round((Date.now() - started) / 1000)).padStart(3)} s] ${text}`);
}

/** The script of an installed package's command. */
function bin(name: string): string {
  return join(ROOT, 'node_modules/.bin', name);
}

function staticChecks(): Stage[] {
  const packages = ['packages/shared', ...readdirSync(join(ROOT, 'apps')).map((name) => `apps/${name}`)].filter((folder) => existsSync(join(ROOT, folder, 'tsconfig.json')));
  const ruled = ['apps', 'packages', 'demo', 'tools', 'bench'];
  return [
    ...[...packages, '.'].map((folder) => check(`types of ${folder === '.' ? 'tools, demo and journeys' : folder}`, bin('tsc'), ['-p', folder], ROOT)),
    check('lint', bin('oxlint'), ['--type-aware'], ROOT),
    check('boundaries', bin('depcruise'), ['--config', '.dependency-cruiser.cjs', ...ruled], ROOT),
    check('dead code', bin('knip'), [], ROOT),
    check('generated files are current', NODE, ['tools/generate.ts', '--check'], ROOT),
  ];
}

function unitTests(scratch: string): Stage {
  return {
    name: 'unit and integration tests',
    async run() {
      const missing = ensureOpenssl(say);
      if (missing !== null) return failure(missing);
      const report = join(scratch, 'vitest.json');
      const run = await command(bin('vitest'), ['run', '--reporter=json', `--outputFile=${report}`], { cwd: ROOT });
      return readVitest(report, run);
    },
  };
}

/** Tests on a real Kubernetes API. Without its programs nothing of it was checked: said loudly, and a failure in CI. */
function kubernetesTests(scratch: string, programs: Promise<KubeAssets>): Stage {
  return {
    name: 'tests on a real Kubernetes API',
    async run() {
      const assets = await programs;
      if ('missing' in assets) {
        if (process.env['CI'] === 'true') return failure(assets.missing);
        say(`SKIPPED: nothing of Kubernetes was checked. ${assets.missing}`);
        return { passed: 0, failed: 0, skipped: 1, output: assets.missing };
      }
      const report = join(scratch, 'vitest-kube.json');
      const run = await command(bin('vitest'), ['run', '--config', 'vitest.kube.config.ts', '--reporter=json', `--outputFile=${report}`], { cwd: ROOT });
      return readVitest(report, run);
    },
  };
}

/** The demo of the tests has a state and ports of its own: one that runs in this clone is not disturbed. */
function journeys(scratch: string): Stage[] {
  const state = join(scratch, 'demo');
  const demo = (...args: string[]) => ['demo/main.ts', ...args, '--state', state];
  return [
    check('the demo comes up', NODE, demo('up', '--detach'), ROOT),
    {
      name: 'journeys in the browser',
      async run() {
        const record = join(state, 'demo.json');
        if (!existsSync(record)) return failure('the demo is not up, so nothing could be tried');
        const browser = ensureBrowser(ROOT, say);
        if (!browser.ok) return failure(browser.problem);
        const report = join(scratch, 'playwright.json');
        const cli = createRequire(join(ROOT, 'package.json')).resolve('@playwright/test/cli');
        const run = await command(NODE, [cli, 'test', '--config', 'playwright/playwright.config.ts', '--reporter=json,line'], {
          cwd: ROOT,
          env: {
            SALLYPORT_DEMO_FILE: record,
            PLAYWRIGHT_JSON_OUTPUT_FILE: report,
            ...(browser.path === null ? {} : { CHROMIUM_PATH: browser.path }),
          },
        });
        return readPlaywright(report, run);
      },
    },
    {
      name: 'kill -9 of each process, with recovery',
      async run() {
        const results = await recoverEach(state);
        const failed = results.filter((result) => !result.ok).length;
        const output = results.map((result) => `${result.ok ? 'ok    ' : 'FAILED'} ${result.process}: ${result.detail}`).join('\n');
        return results.length === 0 ? failure('the demo is not up, so nothing could be killed') : { passed: results.length - failed, failed, skipped: 0, output };
      },
    },
  ];
}

/** The same demo, with all its data, gets a partner; then it has to be gone without a trace. */
function federation(scratch: string): Stage[] {
  const state = join(scratch, 'demo');
  const demo = (...args: string[]) => ['demo/main.ts', ...args, '--state', state];
  return [
    check('the demo stops', NODE, demo('stop'), ROOT),
    check('the demo comes up again, with a partner', NODE, demo('up', '--detach', '--federated'), ROOT),
    {
      name: 'two trust domains call each other',
      async run() {
        const findings = await checkFederation(state);
        const failed = findings.filter(({ ok }) => !ok).length;
        const output = findings.map(({ what, ok, detail }) => `${ok ? 'ok    ' : 'FAILED'} ${what}${ok ? '' : `: ${detail}`}`).join('\n');
        return findings.length === 0 ? failure('the demo has no partner, so nothing could be tried') : { passed: findings.length - failed, failed, skipped: 0, output };
      },
    },
    check('the demo stops and forgets', NODE, demo('reset'), ROOT),
  ];
}

async function main(): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
  // As root, PostgreSQL runs as another account, which has to get through here.
  chmodSync(scratch, 0o711);
  const state = join(scratch, 'demo');
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      interrupted = true;
      endCommands();
    });
  }
  // Built beside all else the first time: it takes minutes, and only the last stage needs it.
  const programs = kubeAssets(say);
  // After the cluster's own programs, so that both do not compile the same packages at once.
  programs.then(certManager).catch(() => undefined);
  const stages = [...staticChecks(), unitTests(scratch), ...journeys(scratch), ...federation(scratch), kubernetesTests(scratch, programs)];
  const total = await runStages(stages, say, () => interrupted);
  if (existsSync(state)) await command(NODE, ['demo/main.ts', 'reset', '--state', state], { cwd: ROOT });
  rmSync(scratch, { recursive: true, force: true });
  console.log(countsLine(total));
  return total.failed > 0 || total.passed === 0 || interrupted ? 1 : 0;
}

process.exitCode = await main();
