import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

/** Everything this process creates, sockets above all, is for its own user alone. */
process.umask(0o077);

// Most requests leave no garbage behind them that lives: a young generation that stays at the 1 MiB it begins with keeps a
// proxy's memory low. By its growth, as V8 takes no size for it (--max-semi-space-size) from a program that runs.
setFlagsFromString('--semi-space-growth-factor=1');

// From the second start on, stripped sources come from here and the TypeScript parser stays out of memory. In the state
// directory and never in a shared one: whoever can write to the cache chooses what this process runs.
// Not before the directory is there: nothing is created for a configuration that may be refused.
const stateDirectory = process.env['SALLYPORT_STATE_DIR'] ?? '';
if (stateDirectory !== '' && existsSync(stateDirectory)) enableCompileCache(join(stateDirectory, 'compile-cache'));

const { readConfiguration } = await import('./config.ts');
const { Proxy } = await import('./proxy.ts');
const { limitConnectionAge } = await import('./listener/retirement.ts');
const { createLog } = await import('./telemetry/log.ts');

/** Runs until SIGTERM or SIGINT. @throws Error that names what keeps the proxy from starting */
async function run(): Promise<void> {
  const config = readConfiguration(process.env);
  const log = createLog(config.proxy, config.logLevel);
  const fail = (what: string, error: unknown) => {
    log.error({ reason: (error as Error).message, stack: (error as Error).stack }, what);
    process.exit(1);
  };
  // Neither is expected: a security product that goes on after one no longer knows what it is doing.
  process.on('unhandledRejection', (error) => fail('unhandled rejection: a defect', error));
  process.on('uncaughtException', (error) => fail('uncaught exception: a defect', error));

  limitConnectionAge(config.connectionAge);
  const proxy = new Proxy(config, log);
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    proxy.stop().then(
      () => process.exit(0),
      (error: unknown) => fail('could not stop in order', error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // How log rotation says that it moved the file.
  process.on('SIGHUP', () => proxy.reopenLogs());
  await proxy.start();
}

try {
  await run();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(2);
}
