import { randomInt, randomUUID } from 'node:crypto';

/** Product numbers of Online Boutique. */
const PRODUCTS = ['OLJCESPC7Z', '66VCHSJNUP', '1YMWWN1N4O', 'L9ECAV7KIM', '2ZYFJ3GM2N', '0PUK6V6EV0', 'LS4PSXUNUM', '9SIQT8TOJO', '6E92ZMYYFZ'];
const CUSTOMERS = Array.from({ length: 200 }, () => randomUUID());

/** What the braces of a path stand for in the request that is being served. */
export type Values = Readonly<Record<string, string>>;

const POOLS: Readonly<Record<string, () => string>> = {
  product: () => PRODUCTS[randomInt(PRODUCTS.length)] ?? '',
  user: () => CUSTOMERS[randomInt(CUSTOMERS.length)] ?? '',
  order: () => randomUUID(),
};

/** `/carts/{user}` with its braces filled from the request, or else from the pools. */
export function fillPath(template: string, values: Values): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? POOLS[name]?.() ?? '-'));
}

/** The values of the braces when the path has the template's form, or null. */
export function matchPath(template: string, path: string): Values | null {
  const wanted = template.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return null;
  const values: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const actual = given[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined ? segment !== actual : actual === '') return null;
    if (name !== undefined) values[name] = decodeSegment(actual);
  }
  return values;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
