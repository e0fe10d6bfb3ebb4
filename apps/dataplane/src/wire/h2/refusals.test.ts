import { describe, expect, it } from 'vitest';
import { block, data, described, frame, GET, greeted, headers, POST, reset, setting, settings, uint32, windowUpdate } from './frames.fixture.ts';
import { Connection } from './connection.ts';
import { recording } from './peer.fixture.ts';
import { ERROR, FLAG, MAX_WINDOW, PREFACE, SETTING, TYPE } from './protocol.ts';

type Pairs = readonly (readonly [string, string])[];
const without = (name: string): Pairs => GET.filter(([each]) => each !== name);
const goaway = (code: number) => expect.stringMatching(new RegExp(`^GOAWAY 0 ${code}$`));
const rst = (id: number, code: number) => `RST_STREAM ${id} ${code}`;
const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, COMPRESSION_ERROR } = ERROR;
const many = (count: number, make: (i: number) => Buffer): Buffer[] => Array.from({ length: count }, (_, i) => make(i));

describe('messages that are malformed reset their stream', () => {
  it.each<[what: string, pairs: Pairs]>([
    ['no method', without(':method')],
    ['no scheme', without(':scheme')],
    ['no path', without(':path')],
    ['no authority and no host', without(':authority')],
    ['an empty path', [...without(':path'), [':path', '']]],
    ['a path without a slash', [...without(':path'), [':path', 'a']]],
    ['a path with a space', [...without(':path'), [':path', '/a b']]],
    ['a star with GET', [...without(':path'), [':path', '*']]],
    ['two methods', [[':method', 'GET'], ...GET]],
    ['two paths', [[':path', '/'], ...GET]],
    ['a method that is no token', [...without(':method'), [':method', 'G T']]],
    ['another scheme', [...without(':scheme'), [':scheme', 'file']]],
    ['an authority with user information', [...without(':authority'), [':authority', 'a@b']]],
    ['an authority with a comma', [...without(':authority'), [':authority', 'a,b']]],
    ['host and authority that differ', [...GET, ['host', 'other']]],
    ['two hosts', [...GET, ['host', 'shop'], ['host', 'shop']]],
    ['a status', [...GET, [':status', '200']]],
    ['an unknown pseudo-header', [...GET, [':new', 'a']]],
    ['a protocol that was not announced', [...GET, [':protocol', 'websocket']]],
    ['a pseudo-header after a header', [['a', 'b'], ...GET]],
    ['upper case in a name', [...GET, ['Accept', 'a']]],
    ['a space in a name', [...GET, ['a b', 'a']]],
    ['CR LF in a value', [...GET, ['a', 'b\r\nc: d']]],
    ['NUL in a value', [...GET, ['a', 'b\0']]],
    ['a space before a value', [...GET, ['a', ' b']]],
    ['connection', [...GET, ['connection', 'close']]],
    ['keep-alive', [...GET, ['keep-alive', '1']]],
    ['proxy-connection', [...GET, ['proxy-connection', 'a']]],
    ['transfer-encoding', [...GET, ['transfer-encoding', 'chunked']]],
    ['upgrade', [...GET, ['upgrade', 'h2c']]],
    ['te with more than trailers', [...GET, ['te', 'trailers, gzip']]],
    ['two lengths', [...GET, ['content-length', '0'], ['content-length', '0']]],
    ['a list of lengths', [...GET, ['content-length', '0, 0']]],
    ['a signed length', [...GET, ['content-length', '+0']]],
    ['a length without content', [...GET, ['content-length', '1']]],
    ['CONNECT with a path', [[':method', 'CONNECT'], [':authority', 'a:1'], [':path', '/']]],
    ['CONNECT with a scheme', [[':method', 'CONNECT'], [':authority', 'a:1'], [':scheme', 'http']]],
    ['CONNECT without a port', [[':method', 'CONNECT'], [':authority', 'a']]],
    ['CONNECT without authority', [[':method', 'CONNECT']]],
  ])('%s', (_, pairs) => {
    const { connection, events, output } = greeted('server');
    connection.receive(headers(1, pairs));
    expect(output()).toEqual([rst(1, PROTOCOL_ERROR)]);
    expect(events).toEqual([expect.stringMatching(/^refused /)]);
    // The connection goes on.
    connection.receive(headers(3));
    expect(events.at(-1)).toBe('3 GET http shop /  end');
  });

  it.each<[what: string, frames: Buffer[], code: number]>([
    ['more content than length', [headers(1, [...POST, ['content-length', '1']], 0), data(1, 'ab')], PROTOCOL_ERROR],
    ['less content than length', [headers(1, [...POST, ['content-length', '3']], 0), data(1, 'ab', FLAG.END_STREAM)], PROTOCOL_ERROR],
    ['less content, then trailers', [headers(1, [...POST, ['content-length', '3']], 0), headers(1, [['a', 'b']])], PROTOCOL_ERROR],
    ['trailers without end', [headers(1, POST, 0), headers(1, [['a', 'b']], 0)], PROTOCOL_ERROR],
    ['trailers with a pseudo-header', [headers(1, POST, 0), headers(1, [[':path', '/']])], PROTOCOL_ERROR],
    ['trailers with a connection header', [headers(1, POST, 0), headers(1, [['upgrade', 'a']])], PROTOCOL_ERROR],
    ['DATA after the end', [headers(1), data(1, 'a')], STREAM_CLOSED],
    ['HEADERS after the end', [headers(1), headers(1)], STREAM_CLOSED],
    ['a window update of nothing', [headers(1, POST, 0), windowUpdate(1, 0)], PROTOCOL_ERROR],
    ['a window that grows too large', [headers(1, POST, 0), windowUpdate(1, MAX_WINDOW)], FLOW_CONTROL_ERROR],
    ['more data than the stream allows', [headers(1, POST, 0), ...many(5, () => data(1, 'x'.repeat(16_384)))], FLOW_CONTROL_ERROR],
    ['PRIORITY of a wrong size', [headers(1, POST, 0), frame(TYPE.PRIORITY, 0, 1, [0, 0, 0, 0])], FRAME_SIZE_ERROR],
  ])('%s', (_, frames, code) => {
    const { connection, events, output } = greeted('server', { streamWindow: 65_536 });
    connection.receive(Buffer.concat(frames));
    expect(output()).toEqual([rst(1, code)]);
    expect(events.at(-1)).toBe(`1 reset ${code}`);
  });
});

describe('what ends the connection', () => {
  const open = headers(1, POST, 0);
  const cut = frame(TYPE.HEADERS, FLAG.END_STREAM, 1, block(GET));
  it.each<[what: string, frames: Buffer[], code: number]>([
    ['DATA on the connection', [data(0, 'a')], PROTOCOL_ERROR],
    ['DATA on an idle stream', [data(1, 'a')], PROTOCOL_ERROR],
    ['DATA of more padding than frame', [open, frame(TYPE.DATA, FLAG.PADDED, 1, [1])], PROTOCOL_ERROR],
    ['padded DATA without length', [open, frame(TYPE.DATA, FLAG.PADDED, 1)], PROTOCOL_ERROR],
    ['HEADERS on the connection', [headers(0)], PROTOCOL_ERROR],
    ['HEADERS on an even stream', [headers(2)], PROTOCOL_ERROR],
    ['HEADERS on a stream that was passed over', [headers(5), headers(3)], PROTOCOL_ERROR],
    ['HEADERS of more padding than frame', [frame(TYPE.HEADERS, FLAG.PADDED | FLAG.END_HEADERS, 1, [9, 0x82])], PROTOCOL_ERROR],
    ['HEADERS too short for a priority', [frame(TYPE.HEADERS, FLAG.PRIORITY | FLAG.END_HEADERS, 1, [0, 0])], FRAME_SIZE_ERROR],
    ['a block that cannot be decoded', [frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, [0x80])], COMPRESSION_ERROR],
    ['a block that cannot be decoded on a closed stream', [open, reset(1, 8), frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, [0x80])], COMPRESSION_ERROR],
    ['HEADERS on a stream that the peer reset', [open, reset(1, 8), headers(1)], STREAM_CLOSED],
    ['a block interrupted by DATA', [open, frame(TYPE.HEADERS, 0, 3, block(GET)), data(1, 'a')], PROTOCOL_ERROR],
    ['a block interrupted by an unknown frame', [cut, frame(99, 0, 0)], PROTOCOL_ERROR],
    ['a block continued on another stream', [cut, frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 3)], PROTOCOL_ERROR],
    ['CONTINUATION of nothing', [frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1)], PROTOCOL_ERROR],
    ['CONTINUATION after the end of a block', [headers(1), frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1)], PROTOCOL_ERROR],
    ['RST_STREAM on an idle stream', [reset(1, 8)], PROTOCOL_ERROR],
    ['RST_STREAM on the connection', [reset(0, 8)], PROTOCOL_ERROR],
    ['RST_STREAM of a wrong size', [open, frame(TYPE.RST_STREAM, 0, 1, [0])], FRAME_SIZE_ERROR],
    ['SETTINGS on a stream', [frame(TYPE.SETTINGS, 0, 1)], PROTOCOL_ERROR],
    ['SETTINGS of a wrong size', [frame(TYPE.SETTINGS, 0, 0, [0])], FRAME_SIZE_ERROR],
    ['an acknowledgement with settings', [frame(TYPE.SETTINGS, FLAG.ACK, 0, setting(1, 1))], FRAME_SIZE_ERROR],
    ['ENABLE_PUSH of 2', [settings(setting(SETTING.ENABLE_PUSH, 2))], PROTOCOL_ERROR],
    ['INITIAL_WINDOW_SIZE of 2^31', [settings(setting(SETTING.INITIAL_WINDOW_SIZE, MAX_WINDOW + 1))], FLOW_CONTROL_ERROR],
    ['INITIAL_WINDOW_SIZE that overflows a stream', [open, windowUpdate(1, 1), settings(setting(SETTING.INITIAL_WINDOW_SIZE, MAX_WINDOW))], FLOW_CONTROL_ERROR],
    ['MAX_FRAME_SIZE of 1', [settings(setting(SETTING.MAX_FRAME_SIZE, 1))], PROTOCOL_ERROR],
    ['MAX_FRAME_SIZE of 2^24', [settings(setting(SETTING.MAX_FRAME_SIZE, 0x100_0000))], PROTOCOL_ERROR],
    ['ENABLE_CONNECT_PROTOCOL of 2', [settings(setting(SETTING.ENABLE_CONNECT_PROTOCOL, 2))], PROTOCOL_ERROR],
    ['a push', [open, frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, 1, uint32(2))], PROTOCOL_ERROR],
    ['PING on a stream', [frame(TYPE.PING, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
    ['PING of a wrong size', [frame(TYPE.PING, 0, 0, [1])], FRAME_SIZE_ERROR],
    ['GOAWAY on a stream', [frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
    ['GOAWAY of a wrong size', [frame(TYPE.GOAWAY, 0, 0, [1])], FRAME_SIZE_ERROR],
    ['WINDOW_UPDATE of nothing', [windowUpdate(0, 0)], PROTOCOL_ERROR],
    ['WINDOW_UPDATE on an idle stream', [windowUpdate(1, 1)], PROTOCOL_ERROR],
    ['WINDOW_UPDATE of a wrong size', [frame(TYPE.WINDOW_UPDATE, 0, 0, [1])], FRAME_SIZE_ERROR],
    ['a window that grows too large', [windowUpdate(0, MAX_WINDOW)], FLOW_CONTROL_ERROR],
    ['a frame larger than announced', [open, data(1, 'x'.repeat(16_385))], FRAME_SIZE_ERROR],
    ['an unknown frame larger than announced', [frame(99, 0, 0, Buffer.alloc(16_385))], FRAME_SIZE_ERROR],
    ['more data than the connection allows', [open, headers(3, POST, 0), ...many(5, (i) => data(i < 2 ? 1 : 3, 'x'.repeat(16_384)))], FLOW_CONTROL_ERROR],
  ])('%s', (_, frames, code) => {
    const { connection, events, output } = greeted('server', { streamWindow: 65_535, connectionWindow: 65_535 });
    connection.receive(Buffer.concat(frames));
    expect(output().at(-1)).toEqual(goaway(code));
    expect(events.at(-1)).toMatch(new RegExp(`^closed ${code} `));
    // Nothing is read after it.
    const told = events.length;
    connection.receive(headers(101));
    expect([events.length, output()]).toEqual([told, []]);
  });

  it.each<[what: string, first: Buffer]>([
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a preface that differs at its end', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r')],
    ['a preface without SETTINGS', Buffer.concat([PREFACE, headers(1)])],
    ['a preface with an acknowledgement', Buffer.concat([PREFACE, frame(TYPE.SETTINGS, FLAG.ACK, 0)])],
  ])('%s', (_, first) => {
    const { events, handler } = recording();
    const connection = new Connection<null>({ role: 'server' }, handler);
    connection.start();
    connection.receive(first);
    expect(events).toEqual([expect.stringMatching(/^closed 1 /)]);
  });
});

describe('limits of a server', () => {
  it('refuses streams beyond the limit so that they may be tried elsewhere', () => {
    const { connection, output } = greeted('server', { maxStreams: 2 });
    connection.receive(Buffer.concat([headers(1), headers(3), headers(5)]));
    expect(output()).toEqual([rst(5, REFUSED_STREAM)]);
  });

  it('answers headers that are too large with 431', () => {
    const { connection, events, output } = greeted('server');
    connection.receive(headers(1, [...GET, ...Array.from({ length: 100 }, (_, i) => [`h${i}`, 'v'] as const)]));
    connection.receive(headers(3, [...GET, ...Array.from({ length: 100 }, (_, i) => [`h${i}`, 'v'] as const)], 0));
    expect(output()).toEqual([expect.stringMatching(/^HEADERS 1 \d+ end$/), expect.stringMatching(/^HEADERS 3 \d+ end$/), rst(3, ERROR.NO_ERROR)]);
    expect(events).toEqual(['refused the headers are too large', 'refused the headers are too large']);
  });

  it.each<[what: string, frames: Buffer]>([
    ['too long', data(1, 'abcd')],
    ['too long, with an end', data(1, 'abcd', FLAG.END_STREAM)],
    ['too short', data(1, 'a', FLAG.END_STREAM)],
    ['too long behind padding', frame(TYPE.DATA, FLAG.PADDED, 1, [1, 97, 98, 99, 100, 0])],
  ])('tells nothing of a frame whose content is %s, though its bytes come one by one', (_, wrong) => {
    const { connection, events, output } = greeted('server');
    connection.receive(headers(1, [...POST, ['content-length', '3']], 0));
    for (const byte of wrong) connection.receive(Buffer.from([byte]));
    expect(events.slice(1)).toEqual(['refused content differs from content-length', '1 reset 1']);
    expect(output()).toEqual([rst(1, PROTOCOL_ERROR)]);
  });

  it('takes large heads in several frames', () => {
    const { connection, events } = greeted('server');
    const large = block([...GET, ['a', 'x'.repeat(40_000)]]);
    connection.receive(frame(TYPE.HEADERS, FLAG.END_STREAM, 1, large.subarray(0, 16_000)));
    connection.receive(frame(TYPE.CONTINUATION, 0, 1, large.subarray(16_000, 32_000)));
    connection.receive(frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, large.subarray(32_000)));
    expect(events).toEqual([`1 GET http shop / a=${'x'.repeat(40_000)} end`]);
  });

  it('forgives frames that cross its reset, and gives their bytes back to the connection', () => {
    const { connection, events, output } = greeted('server', { streamWindow: 65_535, connectionWindow: 65_535 });
    connection.receive(headers(1, [...POST, ['content-length', '1']], 0));
    connection.receive(Buffer.concat([data(1, 'ab'), ...many(3, () => data(1, 'x'.repeat(16_000))), headers(1, [['a', 'b']])]));
    expect(events.filter((event) => event.startsWith('closed'))).toEqual([]);
    expect(output()).toEqual([rst(1, PROTOCOL_ERROR), expect.stringMatching(/^WINDOW_UPDATE 0 \d+$/)]);
  });
});

describe('a client', () => {
  it.each<[what: string, frames: Buffer[], wanted: unknown]>([
    ['a response to nothing', [headers(1, [[':status', '200']])], goaway(PROTOCOL_ERROR)],
    ['a stream that the server begins', [headers(2, [[':status', '200']])], goaway(PROTOCOL_ERROR)],
    ['a push', [frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, 1, uint32(2))], goaway(PROTOCOL_ERROR)],
    ['ENABLE_PUSH of 1', [settings(setting(SETTING.ENABLE_PUSH, 1))], goaway(PROTOCOL_ERROR)],
  ])('does not take %s', (_, frames, wanted) => {
    const { connection, output } = greeted('client');
    connection.receive(Buffer.concat(frames));
    expect(output().at(-1)).toEqual(wanted);
  });

  it.each<[what: string, frames: Buffer[]]>([
    ['no status', [headers(1, [['a', 'b']])]],
    ['two statuses', [headers(1, [[':status', '200'], [':status', '200']])]],
    ['a status of two digits', [headers(1, [[':status', '20']])]],
    ['status 101', [headers(1, [[':status', '101']], 0)]],
    ['a method', [headers(1, [[':status', '200'], [':method', 'GET']])]],
    ['an interim response that ends', [headers(1, [[':status', '103']])]],
    ['DATA before the head', [data(1, 'a')]],
    ['content in a 204', [headers(1, [[':status', '204']], 0), data(1, 'a', FLAG.END_STREAM)]],
    ['less content than length', [headers(1, [[':status', '200'], ['content-length', '2']], 0), data(1, 'a', FLAG.END_STREAM)]],
  ])('resets a stream with %s', (_, frames) => {
    const { connection, events, output } = greeted('client');
    connection.open([], true);
    output();
    connection.receive(Buffer.concat(frames));
    expect(output()).toEqual([rst(1, PROTOCOL_ERROR)]);
    expect(events.at(-1)).toBe('1 reset 1');
  });

  it('says what a connection that fails did to its streams', () => {
    const { connection, events } = greeted('client');
    connection.open([], true);
    connection.open([], true);
    connection.receive(frame(TYPE.GOAWAY, 0, 0, uint32(1, 2)));
    connection.abort(ERROR.INTERNAL_ERROR, 'the socket is gone');
    expect(events).toEqual(['3 reset 7 retryable', 'goaway 2 ', '1 reset 2', 'closed 2 the socket is gone']);
    expect(described(connection.takeOutput()).length).toBeGreaterThan(0);
  });
});
