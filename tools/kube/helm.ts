import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

/** An object as a chart renders it; only what tests look at is named. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly rules?: readonly { readonly apiGroups: string[]; readonly resources: string[]; readonly resourceNames?: string[]; readonly verbs: string[] }[];
  readonly spec?: { readonly template?: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: PodSpec }; readonly groups?: unknown };
}
interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly containers: readonly { readonly args?: readonly string[]; readonly [field: string]: unknown }[];
}

/** helm and kubectl of the test assets, with a home of their own. */
export interface Programs {
  run(name: 'helm' | 'kubectl', args: readonly string[], input?: string): Promise<string>;
  /** The objects of a chart, its hooks among them. */
  render(args: readonly string[]): Promise<Rendered[]>;
  close(): void;
}

export function programs(assets: string, kubeconfig: string): Programs {
  const home = mkdtempSync(join(tmpdir(), 'sallyport-helm-'));
  const env = { ...process.env, KUBECONFIG: kubeconfig, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };
  const run: Programs['run'] = async (name, args, input) => {
    const started = promisify(execFile)(join(assets, name), [...args], { env, maxBuffer: 32 * 1024 * 1024 });
    // A command that ends without reading it says why by its exit.
    started.child.stdin?.on('error', () => undefined).end(input ?? '');
    return (await started).stdout;
  };
  return {
    run,
    async render(args) {
      const text = await run('helm', ['template', ...args]);
      return parseAllDocuments(text).map((document) => document.toJS() as Rendered | null).filter((object) => object !== null);
    },
    close: () => rmSync(home, { recursive: true, force: true }),
  };
}
