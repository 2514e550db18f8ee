// make build: dist/js (one bundle a program) and dist/bin (one executable under every program's name).
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { arch, argv, cwd, execPath } from 'node:process';
import { parseArgs } from 'node:util';
import { bundleProgram, bundleScripts, CLI, PROGRAMS } from './bundle.ts';
import { buildExecutable, installExecutable } from './executable.ts';

const { values } = parseArgs({ args: argv.slice(2), options: { arch: { type: 'string', default: arch } } });
const root = cwd();
const dist = join(root, 'dist');
const work = join(dist, 'work');
const megabytes = (file: string) => `${(statSync(file).size / 1e6).toFixed(2)} MB`;

mkdirSync(work, { recursive: true });
const inputs = await bundleScripts(root, join(dist, 'js'));
const bundle = join(work, 'all.cjs');
inputs.all = await bundleProgram(join(root, 'meta/bin/all.ts'), bundle, true);
// What each file was made of: the tests hold it against what it may hold.
writeFileSync(join(dist, 'inputs.json'), JSON.stringify(inputs));

const executable = join(work, 'all');
buildExecutable(
  { command: execPath, before: [] },
  { bundle, cli: join(dist, 'js', `${CLI}.cjs`), output: executable },
);
installExecutable(executable, join(dist, 'bin'));
rmSync(executable);
for (const name of [...PROGRAMS, CLI])
  console.log(`dist/js/${name}.cjs ${megabytes(join(dist, 'js', `${name}.cjs`))}`);
console.log(`dist/bin/{${PROGRAMS.join(',')}} ${megabytes(join(dist, 'bin/manifold'))}, one file`);
