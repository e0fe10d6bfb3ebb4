/** Block YAML of plain data; every string is a double-quoted JSON string, which YAML 1.2 reads as it is. */
export function yaml(value: unknown, depth = 0): string {
  const pad = '  '.repeat(depth);
  if (Array.isArray(value)) return value.map((item) => `${pad}- ${inline(item, depth + 1).replace(/^\s+/, '')}`).join('');
  return Object.entries(value as object)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => `${pad}${/^[A-Za-z$_][\w.$-]*$/.test(key) ? key : JSON.stringify(key)}:${isBranch(item) ? `\n${yaml(item, depth + 1)}` : ` ${leaf(item)}\n`}`)
    .join('');
}

function inline(item: unknown, depth: number): string {
  return isBranch(item) ? yaml(item, depth) : `${leaf(item)}\n`;
}

function isBranch(item: unknown): boolean {
  return typeof item === 'object' && item !== null && Object.keys(item).length > 0;
}

function leaf(item: unknown): string {
  if (typeof item === 'string' && /^[A-Za-z][A-Za-z0-9./]*$/.test(item) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(item)) return item;
  return JSON.stringify(item);
}
