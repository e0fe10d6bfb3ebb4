import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { Pair } from '../../test/pair.ts';
import { framesOf, peerOf, type PeerOptions } from '../../test/peers.ts';
import type { RawClient } from '../../test/raw-client.ts';
import { PREFACE } from '../wire/h2/protocol.ts';
import { headers, settings } from '../wire/h2/frames.fixture.ts';
import { LIMITS, type Limits } from './limits.ts';

const HBONE = '127.0.0.43';
const GET = 'GET / HTTP/1.1\r\nHost: api\r\n\r\n';

let pair: Pair;
const peers: RawClient[] = [];
afterEach(async () => {
  for (const { socket } of peers.splice(0)) socket.destroy();
  await pair.mesh.close();
});

function start(limits: Partial<Limits>, hbone?: string): Promise<Pair> {
  return Pair.start('http', (mesh) => mesh.app((_req, res) => res.end('app')), { limits, ...(hbone === undefined ? {} : { hbone }) });
}

function connect(options: PeerOptions = {}): RawClient {
  const peer = peerOf(pair, options);
  peers.push(peer);
  return peer;
}

/** A peer that was answered, and stays. */
async function served(options: PeerOptions = {}): Promise<RawClient> {
  const peer = connect(options).send(GET);
  await peer.gets('app');
  return peer;
}

const refusedBy = (limit: string) => pair.mesh.metric('b', `sallyport_proxy_connections_refused_total{limit="${limit}"}`);

describe('connections', () => {
  it('of one address are half of those of a listener, so that others find room; all together are bounded', async () => {
    expect(LIMITS.connectionsOfPeer).toBe(LIMITS.connections / 2);
    pair = await start({ connections: 4, connectionsOfPeer: 2 });
    const first = await served();
    await served({ as: 'web' });
    expect(await connect().send(GET).end()).toBe('');
    expect(await connect({ as: 'web' }).send(GET).end()).toBe('');
    await served({ from: '127.0.0.2' });
    await served({ from: '127.0.0.3', as: 'web' });
    expect(await connect({ from: '127.0.0.4' }).send(GET).end()).toBe('');
    expect([await refusedBy('address'), await refusedBy('listener')]).toEqual([2, 1]);
    first.socket.destroy();
    await until('room again', async () => {
      const again = connect().send(GET);
      await until('an answer or the end', () => again.closed || again.text.includes('app'));
      return again.text.includes('app');
    });
  });
});

describe('HBONE', () => {

  const open = (id: number) => headers(id, [[':method', 'CONNECT'], [':authority', `${HBONE}:${pair.port}`]], 0);
  const tunnel = (as: string, from: string) => connect({ as, from, to: pair.hbone, alpn: ['h2'] }).send(Buffer.concat([PREFACE, settings(), open(1)]));
  const opened = (peer: RawClient, id: number) => until(`stream ${id}`, () => framesOf(peer).find((frame) => frame.startsWith(`HEADERS ${id} `)));

  it('has as many connections of one identity, wherever they come from', async () => {
    pair = await start({ connectionsOfPeer: 1 }, HBONE);
    await opened(tunnel('web', '127.0.0.1'), 1);
    expect(framesOf(await until('the end', () => gone(tunnel('web', '127.0.0.2'))))).toEqual([]);
    await opened(tunnel('batch', '127.0.0.2'), 1);
    expect(await refusedBy('identity')).toBe(1);
  });

  it('has as many streams of one identity, on all its connections', async () => {
    pair = await start({ streams: 3, streamsOfPeer: 2 }, HBONE);
    const [one, other] = [tunnel('web', '127.0.0.1'), tunnel('web', '127.0.0.2')];
    await Promise.all([opened(one, 1), opened(other, 1)]);
    one.send(open(3));
    expect(await opened(one, 3)).toMatch(/ end$/);
    const third = tunnel('batch', '127.0.0.1');
    expect(await opened(third, 1)).not.toMatch(/ end$/);
    third.send(open(3));
    expect(await opened(third, 3)).toMatch(/ end$/);
    expect([await refusedBy('streams-of-identity'), await refusedBy('streams')]).toEqual([1, 1]);
    other.socket.destroy();
    await until('room again', async () => {
      const id = framesOf(one).filter((frame) => frame.startsWith('HEADERS')).length * 2 + 1;
      return !(await opened(one.send(open(id)), id)).endsWith(' end');
    });
  });

  async function gone(peer: RawClient): Promise<RawClient> {
    await peer.end();
    return peer;
  }
});

describe('a peer that stops in the middle is closed, and others are served meanwhile', () => {
  const slow: [what: string, bytes: readonly number[], hbone: boolean][] = [
    ['of nothing', [], false],
    ['of a TLS record', [22], false],
    ['of a ClientHello', [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 1, 2, 3], false],
    ['of nothing, at the HBONE port', [], true],
    ['of a ClientHello, at the HBONE port', [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3], true],
  ];
  it.each(slow)('%s', async (_, bytes, hbone) => {
    pair = await start({ handshake: 1_000, firstBytes: 1_000 }, HBONE);
    const peer = connect(hbone ? { to: pair.hbone } : {}).send(Buffer.from(bytes));
    await served();
    expect(await peer.end()).toBe('');
  });
});
