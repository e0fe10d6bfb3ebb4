import { build, type Plugin } from 'esbuild';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** What Node 24 runs as it is. */
const TARGET = 'node24';
/** CommonJS packages within our ES modules. */
const BANNER = [
  "import { createRequire as $createRequire } from 'node:module';", "import { fileURLToPath as $fileURLToPath } from 'node:url';",
  'const require = $createRequire(import.meta.url), __filename = $fileURLToPath(import.meta.url), __dirname = $fileURLToPath(new URL(".", import.meta.url));',
].join('\n');

/** Text that names a file by its place in the clone, and what it is beside the bundle. */
interface Move {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

interface App {
  readonly folder: string;
  /** Programs of the bundle by their name in it. */
  readonly programs: Readonly<Record<string, string>>;
  readonly moves: readonly Move[];
  readonly plugins: readonly Plugin[];
  /** Puts beside the programs what is not JavaScript. */
  readonly rest: (out: string) => Promise<void>;
}

/** The two apps that are a bundle and nothing else; the console is Next's own standalone build. */
export const BUNDLED = {
  operator: {
    folder: 'apps/operator',
    programs: { main: 'src/main.ts', sallyport: 'src/cli/main.ts', 'analysis-worker': 'src/observe/analysis-worker.ts' },
    moves: [
      { file: 'src/observe/analysis-thread.ts', from: "new URL('./analysis-worker.ts'", to: "new URL('./analysis-worker.mjs'" },
      { file: 'src/store/postgres/migrate.ts', from: "'../../../../../prisma/migrations'", to: "'./migrations'" },
    ],
    plugins: [wasmModules()],
    rest: async (out) => {
      cpSync(join(ROOT, 'prisma/migrations'), join(out, 'migrations'), { recursive: true });
    },
  },
  dataplane: {
    folder: 'apps/dataplane',
    programs: { main: 'src/main.ts', redirect: 'src/interception/main.ts' },
    moves: [{ file: 'src/native/sockopt.ts', from: "createRequire(import.meta.url)('koffi')", to: "createRequire(import.meta.url)('./koffi.cjs')" }],
    plugins: [],
    rest: copyKoffi,
  },
} as const satisfies Record<string, App>;

/**
 * Writes the bundle of an app into an empty directory: programs as `NAME.mjs` with all of their packages inside, native
 * parts, and the licences of others. The same sources give the same bytes, wherever they are.
 */
export async function bundle(name: keyof typeof BUNDLED, out: string): Promise<void> {
  const app: App = BUNDLED[name];
  const folder = join(ROOT, app.folder);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(Object.entries(app.programs).map(([program, source]) => [program, join(folder, source)])),
    outdir: out,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunk-[hash]',
    bundle: true, splitting: true, format: 'esm', platform: 'node', target: TARGET, minifyWhitespace: true, minifySyntax: true, legalComments: 'external', logLevel: 'error',
    banner: { js: BANNER },
    plugins: [moved(folder, app.moves), ...app.plugins],
    // Faster variants that pg and ws use when somebody installed them.
    external: ['pg-native', 'bufferutil', 'utf-8-validate'],
  });
  await app.rest(out);
}

/** Rewrites the places of files, and fails when a source does not say any more what is to be rewritten. */
function moved(folder: string, moves: readonly Move[]): Plugin {
  return {
    name: 'moved-files',
    setup(plan) {
      plan.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const move = moves.find(({ file }) => join(folder, file) === path);
        if (move === undefined) return undefined;
        const source = readFileSync(path, 'utf8');
        if (source.split(move.from).length !== 2) throw new Error(`${relative(ROOT, path)} does not have ${move.from} once: mend tools/images/bundle.ts`);
        return { contents: source.replace(move.from, move.to), loader: 'ts' };
      });
    },
  };
}

/** What is asked of WebAssembly here; the types of Node know it only by name. */
interface Wasm {
  compile(bytes: Uint8Array): Promise<object>;
  readonly Module: { imports(module: object): { readonly module: string }[]; exports(module: object): { readonly name: string }[] };
}
const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: Wasm };

/** ES modules that are WebAssembly, as Node imports them: linked with what they import, and their exports by name. */
function wasmModules(): Plugin {
  return {
    name: 'wasm-modules',
    setup(plan) {
      plan.onResolve({ filter: /\.wasm\?bytes$/ }, ({ path }) => ({ path: path.slice(0, -'?bytes'.length), namespace: 'bytes' }));
      plan.onLoad({ filter: /\.wasm$/, namespace: 'file' }, async ({ path }) => {
        const bytes = readFileSync(path);
        const module = await wasm.compile(bytes);
        const sources = [...new Set(wasm.Module.imports(module).map(({ module: source }) => source))];
        const names = wasm.Module.exports(module).map(({ name }) => name);
        const contents = [
          `import bytes from ${JSON.stringify(`${path}?bytes`)};`,
          ...sources.map((source, index) => `import * as from${index} from ${JSON.stringify(source)};`),
          `const linked = new WebAssembly.Instance(new WebAssembly.Module(bytes), {${sources.map((source, index) => `${JSON.stringify(source)}: from${index}`).join()}}).exports;`,
          ...names.map((name, index) => `const export${index} = linked[${JSON.stringify(name)}];`),
          `export {${names.map((name, index) => `export${index} as ${name}`).join()}};`,
        ].join('\n');
        return { contents, loader: 'js', resolveDir: dirname(path) };
      });
      plan.onLoad({ filter: /\.wasm$/, namespace: 'bytes' }, ({ path }) => ({ contents: readFileSync(path), loader: 'binary' }));
    },
  };
}

/** Koffi finds its native part beside itself. Only that of this machine's processor is installed. */
async function copyKoffi(out: string): Promise<void> {
  const require = createRequire(join(ROOT, 'apps/dataplane/package.json'));
  const koffi = require.resolve('koffi');
  await build({ absWorkingDir: ROOT, entryPoints: { koffi }, outdir: out, outExtension: { '.js': '.cjs' }, bundle: true, format: 'cjs', platform: 'node', target: TARGET, minifyWhitespace: true, logLevel: 'error', legalComments: 'external' });
  const native = `linux_${process.arch}/koffi.node`;
  const found = createRequire(koffi).resolve(`@koromix/koffi-linux-${process.arch}`);
  mkdirSync(join(out, dirname(native)));
  cpSync(join(dirname(found), native), join(out, native));
  chmodSync(join(out, native), 0o644);
}
