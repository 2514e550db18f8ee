// The esbuild bundles: one file each, no node_modules, and every built-in module looked up when it is first used.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';

/** What a runtime can exec, and the file that it starts with. */
export const PROGRAMS = ['manifold', 'macvlan', 'host-device', 'sriov', 'manifold-ipam'] as const;
/** Built as scripts; the executable answers to the names, but is not installed under them: other projects' programs may be. */
export const DROP_INS = ['whereabouts', 'rdma'] as const;
export const CLI = 'manifold-cli';
/** A script only: an executable is made to start fast and without a compiler, which is wrong for what runs for months. */
export const AGENT = 'manifold-agent';

/**
 * A snapshot may hold no built-in module, and a script starts sooner when it loads only those that it uses. So
 * `require` hands out a stand-in that fetches the module at the first use of a name. That serves named imports only,
 * hence the lint rule. Libraries that are loaded later, on demand, get the real thing.
 */
const LAZY = [
  'var manifoldLoaded = false;',
  'var require = (id) => manifoldLoaded ? process.getBuiltinModule(id)',
  ' : new Proxy({}, { get: (_, name) => process.getBuiltinModule(id)[name] });',
].join('');

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node26',
  external: ['node:*'],
  minify: true,
  metafile: true,
  legalComments: 'none',
  // yargs asks for its own place to look for translations, and goes on without.
  define: { 'import.meta.url': '"file:///manifold"' },
};

/** What the sources may ask of the build. */
function defines(snapshot: boolean): Record<string, string> {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return { ...COMMON.define, MANIFOLD_SNAPSHOT: String(snapshot), MANIFOLD_VERSION: JSON.stringify(version) };
}

/** Bundles one program. `snapshot`: for the executable, where `boot` leaves the main function for later. */
export async function bundleProgram(entry: string, outfile: string, snapshot: boolean): Promise<Metafile> {
  const { metafile } = await build({
    ...COMMON,
    metafile: true,
    entryPoints: [entry],
    outfile,
    banner: { js: LAZY },
    footer: { js: 'manifoldLoaded = true;' },
    define: defines(snapshot),
  });
  return metafile;
}

/** The command line takes the errors' class from the program that loads it (meta/bin/load-cli.ts): one class for both. */
const SHARED_ERRORS: Plugin = {
  name: 'shared-errors',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\/pkg\/errors\/manifold-error\.ts$/ }, () => ({
      contents: 'export const { isManifoldError, ManifoldError } = shared;',
      loader: 'js',
    }));
  },
};

/** Bundles the command line for people, which is loaded whole when somebody types a command. */
async function bundleCli(entry: string, outfile: string): Promise<Metafile> {
  const { metafile } = await build({
    ...COMMON,
    metafile: true,
    entryPoints: [entry],
    outfile,
    banner: { js: 'var require = (id) => process.getBuiltinModule(id);' },
    plugins: [SHARED_ERRORS],
    define: defines(false),
  });
  return metafile;
}

/** dist/js: every program, the agent and the command line. Returns what each file was made of. */
export async function bundleScripts(root: string, directory: string): Promise<Record<string, Metafile>> {
  const made: Record<string, Metafile> = {};
  for (const name of [...PROGRAMS, ...DROP_INS, AGENT])
    made[name] = await bundleProgram(
      join(root, 'meta/bin', `${name}.ts`),
      join(directory, `${name}.cjs`),
      false,
    );
  made[CLI] = await bundleCli(join(root, 'meta/cli/main.ts'), join(directory, `${CLI}.cjs`));
  return made;
}
