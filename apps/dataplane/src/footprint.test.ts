import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Says every module that a proxy has loaded when it can start. */
const LOADED = `
import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) { console.log(url); return next(url, context); } });
await import(${JSON.stringify(new URL('proxy.ts', import.meta.url).href)});
`;

it('a proxy loads none of the libraries that most never need: each is memory in every pod', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', LOADED], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const loaded = new Set([...stdout.matchAll(/node_modules\/((?:@[^/\n]+\/)?[^/\n.][^/\n]*)\//g)].map(([, name]) => name));
  expect(loaded).toContain('zod');
  expect([...loaded].filter((name) => ['@grpc/grpc-js', 'protobufjs', 'jose', 'koffi'].includes(name ?? ''))).toEqual([]);
});
