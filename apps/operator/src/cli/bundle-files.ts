import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { packBundle, type BundleProblem } from '@sallyport/shared/evidence';
import { unzipSync } from 'fflate';
import { CliFailure, EXIT } from './failure.ts';

const MAX_FILES = 10_000;
const MAX_BYTES = 1024 * 1024 * 1024;

/** What is wrong with a bundle or with what it came in. */
export type Problem = Omit<BundleProblem, 'kind'> & { readonly kind: BundleProblem['kind'] | 'container' };
export interface ReadBundle {
  readonly files: Map<string, Uint8Array>;
  readonly problems: readonly Problem[];
}

/**
 * Reads a bundle from a directory or a zip into memory. Nothing is extracted, no symbolic link is followed.
 *
 * @throws CliFailure when there is nothing to read, or more than 10 000 files or 1 GiB
 */
export function readBundle(path: string): ReadBundle {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (!kind) throw new CliFailure(EXIT.usage, `${path}: no such file or directory`, 'give the directory or the .zip that was exported');
  if (kind.isDirectory()) return readDirectory(path);
  if (kind.size > MAX_BYTES) throw tooLarge(path);
  return readZip(basename(path), readFileSync(path));
}

function tooLarge(path: string): CliFailure {
  return new CliFailure(EXIT.usage, `${path}: holds more than ${MAX_FILES} files or ${MAX_BYTES} bytes`, 'a bundle is smaller; is it the right path?');
}

function readDirectory(root: string): ReadBundle {
  const files = new Map<string, Uint8Array>();
  const problems: Problem[] = [];
  const left = [''];
  let size = 0;
  for (let folder = left.pop(); folder !== undefined; folder = left.pop()) {
    for (const entry of readdirSync(join(root, folder))) {
      const name = folder === '' ? entry : `${folder}/${entry}`;
      const kind = lstatSync(join(root, name));
      if (kind.isDirectory()) left.push(name);
      else if (!kind.isFile()) problems.push({ file: name, kind: 'unsafe-name', problem: 'is a symbolic link or another special file' });
      else {
        size += kind.size;
        if (size > MAX_BYTES || files.size >= MAX_FILES) throw tooLarge(root);
        files.set(name, readFileSync(join(root, name)));
      }
      if (left.length > MAX_FILES) throw tooLarge(root);
    }
  }
  return { files, problems };
}

/**
 * Reads a zip strictly: packed anew, its files must give the same bytes, so that no byte of the container goes unchecked
 * and no file can hide behind another of the same name.
 */
export function readZip(name: string, bytes: Uint8Array): ReadBundle {
  const container = (problem: string): Problem => ({ file: name, kind: 'container', problem });
  let files: Map<string, Uint8Array>;
  try {
    files = unzip(name, bytes);
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    return { files: new Map(), problems: [container('is not a zip that can be read')] };
  }
  if (Buffer.compare(packBundle(files), bytes) === 0) return { files, problems: [] };
  return { files, problems: [container('is not byte for byte the zip that Sallyport makes of its files; if you packed it anew, verify the directory instead')] };
}

function unzip(name: string, bytes: Uint8Array): Map<string, Uint8Array> {
  let size = 0;
  let count = 0;
  const entries = unzipSync(bytes, {
    // Asked before each file is inflated, into a buffer of just this size: a zip bomb never gets its memory.
    filter: ({ originalSize }) => {
      size += originalSize;
      count += 1;
      if (size > MAX_BYTES || count > MAX_FILES) throw tooLarge(name);
      return true;
    },
  });
  return new Map(Object.entries(entries));
}

/** Writes a verified set of files below a directory that is new or empty. @throws CliFailure when it is neither */
export function writeDirectory(root: string, files: ReadonlyMap<string, Uint8Array>): void {
  mkdirSync(root, { recursive: true });
  if (readdirSync(root).length > 0) throw new CliFailure(EXIT.usage, `${root}: is not empty; a file left there would make the bundle fail`, 'give a new or empty directory');
  for (const [name, content] of files) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content, { flag: 'wx' });
  }
}
