import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { workloadUri } from '../../apps/dataplane/test/certificates.ts';
import { freePort, TestMesh } from '../../apps/dataplane/test/mesh.ts';
import { buildGoProgram } from '../../tools/go-program.ts';
import { listening, Processes } from './processes.ts';

const LOADGEN = join(import.meta.dirname, '../../tools/loadgen');

/** Who may call, and the service. */
export const WEB = workloadUri('shop', 'web');
export const API = workloadUri('pay', 'api');

/** What all targets stand in: the operator's stand-in with its CA, certificates as files, the application. */
export interface Lab {
  readonly mesh: TestMesh;
  readonly directory: string;
  readonly processes: Processes;
  readonly loadgen: string;
  /** Ports of the application: HTTP/1.1 and HTTP/2 on one, bulk on the other. */
  readonly app: number;
  readonly bulk: number;
  close(): Promise<void>;
}

export async function openLab(): Promise<Lab> {
  const built = await buildGoProgram(LOADGEN);
  if ('missing' in built) throw new Error(`the load generator cannot be built: ${built.missing}`);
  const loadgen = built.path;
  const mesh = await TestMesh.start();
  const { directory } = mesh;
  // Those who compare a subject instead of the URI SAN get one.
  for (const [name, uri] of [['web', WEB], ['other', workloadUri('shop', 'other')], ['api', API]] as const) {
    const { cert, key } = mesh.operator.ca.leaf(uri, { subject: name });
    writeFileSync(join(directory, `${name}.pem`), cert);
    writeFileSync(join(directory, `${name}.key`), key, { mode: 0o600 });
    writeFileSync(join(directory, `${name}.both`), cert + key, { mode: 0o600 });
  }
  writeFileSync(join(directory, 'ca.pem'), mesh.operator.ca.root);
  const processes = new Processes();
  const [app, bulk] = [await freePort(), await freePort()];
  const log = join(directory, 'app.log');
  const child = processes.start('load', loadgen, ['app', '-listen', `127.0.0.1:${app}`, '-bulk', `127.0.0.1:${bulk}`], log);
  await listening(app, child, log);
  const close = async () => {
    await processes.stop();
    await mesh.close();
  };
  return { mesh, directory, processes, loadgen, app, bulk, close };
}

/** A folder of its own for one process of a target. */
export function roomOf(lab: Lab, name: string): string {
  const room = join(lab.directory, name);
  mkdirSync(room, { recursive: true });
  return room;
}
