import { join } from 'node:path';
import { freePort } from '../../apps/dataplane/test/mesh.ts';
import type { Lab } from './lab.ts';
import { familyOf, listening } from './processes.ts';
import type { Deployment, Target } from './target.ts';

const SCRIPT = join(import.meta.dirname, 'peers/node-http2.ts');

/** What one gets from node:http2 without more: the measure of issue 4 for gRPC. */
export const nodeHttp2: Target = { name: 'node:http2', missing: null, deploy };

async function deploy(lab: Lab, rules: number): Promise<Deployment> {
  const [mtls, plain] = [await freePort(), await freePort()];
  const run = async (side: 'client' | 'server', listen: number, upstream: number) => {
    const log = join(lab.directory, `node-http2-${side}.log`);
    const child = lab.processes.start('proxy', process.execPath, [SCRIPT, side, String(listen), String(upstream), lab.directory, String(rules)], log);
    await listening(listen, child, log);
    return familyOf(child);
  };
  const server = await run('server', mtls, lab.app);
  const only = (grpc: number) => ({ h1: null, h2: null, grpc, tcp: null });
  return { doors: { plain: only(plain), mtls: only(mtls) }, server, client: await run('client', plain, mtls) };
}
