import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { SocketLink } from './socket-link.ts';
import { peek, type Peeked } from './peek.ts';

let server: net.Server;
let client: net.Socket;
let accepted: SocketLink;

beforeEach(async () => {
  server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = net.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  accepted = new SocketLink(socket);
});
afterEach(() => {
  client.destroy();
  accepted.destroy();
  server.close();
});

/** Whatever the next user hears. */
function hear({ link }: Peeked<unknown>): { text: string; ended: boolean; closed: boolean } {
  const heard = { text: '', ended: false, closed: false };
  link.attach({
    onData: (chunk) => (heard.text += chunk.toString()),
    onEnd: () => (heard.ended = true),
    onDrain: () => undefined,
    onClose: () => (heard.closed = true),
  });
  return heard;
}

const three = (bytes: Buffer) => (bytes.length < 3 ? null : bytes.toString('latin1', 0, 3));

it('tells what came in pieces, and the next user hears all of it once, in order, and then the end', async () => {
  const peeked = peek(accepted, 20_000, three, 'late');
  for (const piece of ['a', 'b', 'c']) client.write(piece);
  const found = await peeked;
  expect(found?.told).toBe('abc');
  client.write('d');
  client.end('e');
  const heard = hear(found!);
  expect(heard.text).toBe('');
  await until('the end', () => heard.ended);
  expect(heard.text).toBe('abcde');
  client.destroy();
  found!.link.destroy();
  await until('the close', () => heard.closed);
});

it('is told otherwise after the wait, and when the connection ends early', async () => {
  expect((await peek(accepted, 1, three, 'late'))?.told).toBe('late');
});

it('is told otherwise when the other side sends no more, which the next user hears too', async () => {
  const peeked = peek(accepted, 20_000, three, 'late');
  client.end('x');
  const found = await peeked;
  expect(found?.told).toBe('late');
  const heard = hear(found!);
  await until('the end', () => heard.ended);
  expect(heard.text).toBe('x');
});

it('is nothing when the connection closed', async () => {
  const peeked = peek(accepted, 20_000, three, 'late');
  client.resetAndDestroy();
  expect(await peeked).toBeNull();
});

it('holds the sender up until somebody listens, and lets the next user pause from within', async () => {
  const peeked = peek(accepted, 20_000, three, 'late');
  client.write('abc');
  const found = await peeked;
  let text = '';
  found!.link.attach({
    onData: (chunk) => {
      text += chunk.toString();
      found!.link.pause();
    },
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
  });
  client.write('def');
  await until('the first bytes', () => text === 'abc');
  await new Promise((resolve) => client.write('', resolve));
  expect(text).toBe('abc');
  found!.link.resume();
  await until('the rest', () => text === 'abcdef');
});
