import { createServer } from 'node:net';

const LOWEST = 12_000;
/** Below what kernels give to outgoing connections (32768 and up on Linux), or one of those could take it meanwhile. */
const HIGHEST = 32_000;

/** A port of 127.0.0.1 that a test may listen on in a moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await canListen(port)) return port;
  }
}

async function canListen(port: number): Promise<boolean> {
  const probe = createServer();
  return await new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
