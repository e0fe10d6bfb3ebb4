import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface Contents {
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
}

/** What a directory holds: names, bytes, links and who may execute; no times and no owners, which an image sets anew. */
export function contentsOf(directory: string): Contents {
  const hash = createHash('sha256');
  let bytes = 0;
  const names = namesBelow(directory, '').sort();
  for (const name of names) {
    const path = join(directory, name);
    const stat = lstatSync(path);
    const content = stat.isSymbolicLink() ? Buffer.from(readlinkSync(path)) : stat.isFile() ? readFileSync(path) : Buffer.alloc(0);
    const type = stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'directory' : (stat.mode & 0o100) === 0 ? 'file' : 'program';
    hash.update(`${name}\0${type}\0${content.length}\0`).update(content);
    bytes += content.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, files: names.length, bytes };
}

/** Links are listed and not followed. */
function namesBelow(directory: string, prefix: string): string[] {
  return readdirSync(join(directory, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = join(prefix, entry.name);
    return entry.isDirectory() ? [name, ...namesBelow(directory, name)] : [name];
  });
}
