import { createRequire } from 'node:module';
import { compileRemoval, fieldLine, RequestReader, rewriteRequest } from '../../apps/dataplane/src/wire/index.ts';
import { nanoseconds } from './clock.ts';

const SMALL = 'GET /orders/17 HTTP/1.1\r\nHost: orders:8080\r\n\r\n';
const TYPICAL = [
  'GET /orders/17?expand=lines HTTP/1.1',
  'Host: orders:8080',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Accept: application/json, text/plain, */*',
  'Accept-Encoding: gzip, deflate, br',
  'Accept-Language: en-GB,en;q=0.9',
  'Connection: keep-alive',
  'Cookie: session=6f9619ff8b86d011b42d00c04fc964ff; theme=dark',
  'X-Request-Id: 4b825dc6-42cb-4eb9-a060-e54bf8d69288',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'X-Forwarded-For: 10.1.2.3',
  'Content-Type: application/json',
  '\r\n',
].join('\r\n');

/** The little of node's own parser that is used here: its binding to llhttp, as node:http drives it. */
interface LlhttpParser {
  initialize(type: number, resource: object): void;
  execute(buffer: Buffer): unknown;
  [callback: number]: unknown;
}
interface LlhttpConstructor {
  new (): LlhttpParser;
  readonly REQUEST: number;
  readonly kOnHeadersComplete: number;
}

function llhttp(bytes: Buffer): (count: number) => void {
  const { HTTPParser } = createRequire(import.meta.url)('node:_http_common') as { HTTPParser: LlhttpConstructor };
  const parser = new HTTPParser();
  let headers = 0;
  parser.initialize(HTTPParser.REQUEST, {});
  parser[HTTPParser.kOnHeadersComplete] = (_major: number, _minor: number, list: string[]) => {
    headers += list.length;
  };
  return (count) => {
    for (let i = 0; i < count; i += 1) parser.execute(bytes);
    if (headers === 0) throw new Error('llhttp told nothing');
  };
}

/** What people write first: a text, split by lines and colons. Checks nothing. */
function naive(bytes: Buffer): (count: number) => void {
  return (count) => {
    let headers = 0;
    for (let i = 0; i < count; i += 1) {
      const [start = '', ...lines] = bytes.toString('latin1').split('\r\n');
      const map: Record<string, string> = {};
      for (const line of lines) {
        const colon = line.indexOf(':');
        if (colon > 0) map[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      headers += start.split(' ').length + Object.keys(map).length;
    }
    if (headers === 0) throw new Error('nothing was split');
  };
}

const edits = { removal: compileRemoval(['x-forwarded-client-cert', 'traceparent'], ['x-sallyport-']), append: fieldLine('x-forwarded-client-cert', 'By=spiffe://td/ns/a/sa/b;URI=spiffe://td/ns/a/sa/c') };

function ours(bytes: Buffer, use: 'parse' | 'list' | 'rewrite'): (count: number) => void {
  let sum = 0;
  const reader = new RequestReader({
    onHead: (head) => {
      if (use === 'list') sum += head.headers().length;
      else if (use === 'rewrite') sum += rewriteRequest(head, head.target, edits).length;
      else sum += head.fields.count;
    },
    onBody: () => undefined,
    onEnd: () => undefined,
    onRefused: ({ reason }) => {
      throw new Error(reason);
    },
  });
  return (count) => {
    for (let i = 0; i < count; i += 1) {
      reader.receive(bytes);
      reader.next();
    }
    if (sum === 0) throw new Error('nothing was read');
  };
}

/** Nanoseconds for each head, by what is done with it. */
export function measureHeads(rounds: number): Record<string, Record<string, number>> {
  return Object.fromEntries(
    [SMALL, TYPICAL].map((text) => {
      const bytes = Buffer.from(text, 'latin1');
      const candidates = {
        'wire/http1, parsed and checked': ours(bytes, 'parse'),
        '… and all headers as text': ours(bytes, 'list'),
        '… and written anew for the next hop': ours(bytes, 'rewrite'),
        'node: llhttp with its header texts': llhttp(bytes),
        'naive split, nothing checked': naive(bytes),
      };
      return [`${bytes.length} bytes`, nanoseconds(candidates, 100_000, rounds)];
    }),
  );
}
