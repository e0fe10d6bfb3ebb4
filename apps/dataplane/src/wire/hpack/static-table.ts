import { Field, INDEXING } from './field.ts';

/** RFC 7541 Appendix A, in order. */
const ROWS: readonly (readonly [name: string, value?: string])[] = [
  [':authority'], [':method', 'GET'], [':method', 'POST'], [':path', '/'], [':path', '/index.html'], [':scheme', 'http'], [':scheme', 'https'],
  [':status', '200'], [':status', '204'], [':status', '206'], [':status', '304'], [':status', '400'], [':status', '404'], [':status', '500'],
  ['accept-charset'], ['accept-encoding', 'gzip, deflate'], ['accept-language'], ['accept-ranges'], ['accept'], ['access-control-allow-origin'],
  ['age'], ['allow'], ['authorization'], ['cache-control'], ['content-disposition'], ['content-encoding'], ['content-language'], ['content-length'],
  ['content-location'], ['content-range'], ['content-type'], ['cookie'], ['date'], ['etag'], ['expect'], ['expires'], ['from'], ['host'], ['if-match'],
  ['if-modified-since'], ['if-none-match'], ['if-range'], ['if-unmodified-since'], ['last-modified'], ['link'], ['location'], ['max-forwards'],
  ['proxy-authenticate'], ['proxy-authorization'], ['range'], ['referer'], ['refresh'], ['retry-after'], ['server'], ['set-cookie'],
  ['strict-transport-security'], ['transfer-encoding'], ['user-agent'], ['vary'], ['via'], ['www-authenticate'],
];

/** By index, the first is 1. */
export const STATIC: readonly (Field | undefined)[] = [undefined, ...ROWS.map(([name, value = '']) => new Field(name, value, INDEXING.ALLOWED))];
export const STATIC_SIZE = ROWS.length;

/** Where a name is, and which values it has there. */
interface StaticName {
  readonly index: number;
  readonly values: ReadonlyMap<string, number>;
}

function byName(): ReadonlyMap<string, StaticName> {
  const names = new Map<string, { index: number; values: Map<string, number> }>();
  for (const [i, [name, value]] of ROWS.entries()) {
    const known = names.get(name) ?? { index: i + 1, values: new Map<string, number>() };
    if (value !== undefined) known.values.set(value, i + 1);
    names.set(name, known);
  }
  return names;
}

export const STATIC_NAMES = byName();
