import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, readResponses, single } from './http1.fixture.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const head = (start: string, fields = '') => `HTTP/1.1 ${start}\r\n${fields}\r\n`;
const end = { trailers: [] };

const read: [what: string, methods: string[], input: string, told: unknown[]][] = [
  ['a body by length', ['GET'], head('200 OK', 'Content-Length: 2\r\n') + 'ab', [{ head: '200 OK', headers: [['content-length', '2']] }, { body: 'ab' }, end]],
  ['a body until the end', ['GET'], `${head('200 OK')}abc`, [expect.anything(), { body: 'abc' }, end]],
  ['no body until the end', ['GET'], head('200 OK'), [expect.anything(), end]],
  ['chunks with trailers', ['POST'], head('200 OK', 'Transfer-Encoding: chunked\r\n') + '1\r\na\r\n0\r\nX: y\r\n\r\n', [expect.anything(), { body: 'a' }, { trailers: [['x', 'y']] }]],
  ['no reason and no space before it', ['GET'], head('204'), [{ head: '204 ', headers: [] }, end]],
  ['no reason', ['GET'], head('204 '), [{ head: '204 ', headers: [] }, end]],
  ['HEAD with a length', ['HEAD', 'GET'], head('200 OK', 'Content-Length: 9\r\n') + head('200 Next', 'Content-Length: 1\r\n') + 'a', [expect.anything(), end, expect.objectContaining({ head: '200 Next' }), { body: 'a' }, end]],
  ['204 with a length', ['GET', 'GET'], head('204 No', 'Content-Length: 9\r\n') + head('204 Next'), [expect.anything(), end, expect.objectContaining({ head: '204 Next' }), end]],
  ['304 with a length', ['GET', 'GET'], head('304 Not', 'Content-Length: 9\r\n') + head('304 Next'), [expect.anything(), end, expect.objectContaining({ head: '304 Next' }), end]],
  ['interim responses', ['GET'], head('100 Continue') + head('103 Hints', 'Link: a\r\n') + head('200 OK', 'Content-Length: 0\r\n'), [expect.objectContaining({ head: '100 Continue' }), expect.objectContaining({ head: '103 Hints' }), expect.objectContaining({ head: '200 OK' }), end]],
  ['a switch of protocols', ['GET'], `${head('101 Switching', 'Upgrade: websocket\r\nConnection: Upgrade\r\n')}frames`, [expect.objectContaining({ head: '101 Switching' }), end]],
  ['bytes that nobody asked for stay unread', ['GET'], head('204 No') + head('200 Unasked'), [expect.anything(), end]],
];

describe('responses that are read', () => {
  it.each(read)('%s', (_, methods, input, told) => {
    expect(readResponses(methods, [bytes(input)]).told).toEqual(told);
    expect(readResponses(methods, single(input)).told).toEqual(told);
  });
});

const refused: [what: string, input: string, refusal: Refusal][] = [
  ['both lengths', head('200 OK', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), REFUSALS.bothLengths],
  ['two lengths', head('200 OK', 'Content-Length: 1\r\nContent-Length: 1\r\n'), REFUSALS.twoContentLengths],
  ['an unknown coding', head('200 OK', 'Transfer-Encoding: gzip, chunked\r\n'), REFUSALS.transferCoding],
  ['Transfer-Encoding on HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', REFUSALS.transferEncodingOnHttp10],
  ['a folded header', head('200 OK', 'X: a\r\n b\r\n'), REFUSALS.folded],
  ['status 099', head('099 No'), REFUSALS.status],
  ['status 600', head('600 No'), REFUSALS.status],
  ['a status with letters', head('2x0 No'), REFUSALS.status],
  ['a status of four digits', head('2000 No'), REFUSALS.startLine],
  ['a control character in the reason', head('200 O\x01K'), REFUSALS.startLine],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n', REFUSALS.version],
  ['a bare LF', 'HTTP/1.1 200 OK\nX: y\r\n\r\n', REFUSALS.startLine],
  ['an empty line first', `\r\n${head('200 OK')}`, REFUSALS.emptyLines],
  ['nothing', '', REFUSALS.cutOff],
  ['an end after an interim response', head('100 Continue'), REFUSALS.cutOff],
  ['an end inside of the body', head('200 OK', 'Content-Length: 2\r\n') + 'a', REFUSALS.cutOff],
  ['an end inside of chunks', head('200 OK', 'Transfer-Encoding: chunked\r\n') + '1\r\na\r\n', REFUSALS.cutOff],
  ['a flood of interim responses', head('100 Continue').repeat(17), REFUSALS.interim],
];

describe('responses that are refused', () => {
  it.each(refused)('%s', (_, input, refusal) => {
    expect(readResponses(['GET'], [bytes(input)]).refusal).toEqual(refusal);
    expect(readResponses(['GET'], single(input)).refusal).toEqual(refusal);
  });
});

it('tells the same however the bytes are cut', () => {
  const corpus = [...read.map(([, , input]) => input), ...refused.map(([, input]) => input)];
  fc.assert(
    fc.property(fc.constantFrom(...corpus), fc.constantFrom('GET', 'HEAD'), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }), (text, method, cuts) => {
      const methods = [method, 'GET', 'GET'];
      expect(readResponses(methods, cut(bytes(text), cuts)).told).toEqual(readResponses(methods, [bytes(text)]).told);
    }),
    { numRuns: 1000 },
  );
});
