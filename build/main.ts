// make build: dist/js (one bundle a program) and dist/bin (one executable under every program's name).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { arch, argv, cwd } from 'node:process';
import { parseArgs } from 'node:util';
import { AGENT, bundleProgram, bundleScripts, CLI, DROP_INS, PROGRAMS } from './bundle.ts';
import { buildExecutable, installExecutable } from './executable.ts';
import { findTarget } from './target.ts';

const root = cwd();
const dist = join(root, 'dist');
const work = join(dist, 'work');
const megabytes = (file: string) => `${(statSync(file).size / 1e6).toFixed(2)} MB`;

async function bundle(): Promise<string> {
  const inputs = await bundleScripts(root, join(dist, 'js'));
  const all = join(work, 'all.cjs');
  inputs.all = await bundleProgram(join(root, 'meta/bin/all.ts'), all, true);
  // What each file was made of: the tests hold it against what it may hold.
  writeFileSync(join(dist, 'inputs.json'), JSON.stringify(inputs));
  for (const name of [...PROGRAMS, ...DROP_INS, AGENT, CLI])
    console.log(`dist/js/${name}.cjs ${megabytes(join(dist, 'js', `${name}.cjs`))}`);
  return all;
}

/** Makes the executables unless those that are there were made of the same. */
function executables(all: string, wanted: string): void {
  const folder = wanted === arch ? 'bin' : `bin-${wanted}`;
  const cli = join(dist, 'js', `${CLI}.cjs`);
  const makers = ['elf', 'executable', 'loader', 'main', 'start-code', 'strip', 'target'].map(
    (name) => new URL(`${name}.ts`, import.meta.url),
  );
  const hash = createHash('sha256');
  for (const file of [all, cli, ...makers]) hash.update(readFileSync(file));
  const made = hash.digest('hex');
  const stamp = join(work, `${folder}.sha256`);
  const programs = PROGRAMS.map((name) => join(dist, folder, name));
  if (!(programs.every(existsSync) && existsSync(stamp) && readFileSync(stamp, 'utf8') === made)) {
    const output = join(work, `all-${wanted}`);
    buildExecutable(findTarget(wanted), { bundle: all, cli, output });
    installExecutable(output, join(dist, folder));
    rmSync(output);
    writeFileSync(stamp, made);
  }
  console.log(
    `dist/${folder}/{${PROGRAMS.join(',')}} ${megabytes(join(dist, folder, 'manifold'))}, one file`,
  );
}

const { values } = parseArgs({ args: argv.slice(2), options: { arch: { type: 'string', default: arch } } });
mkdirSync(work, { recursive: true });
try {
  executables(await bundle(), values.arch);
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
