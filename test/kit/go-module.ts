// Programs built from Go modules that are pinned, sums included, by a go.mod and go.sum beside this file.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env, stderr } from 'node:process';
import { cacheDirectory } from '../../build/cache.ts';
import { hasGo, madeOnce, run } from './build-cache.ts';

export interface GoPrograms {
  /** Folder of test/kit/go-modules, named for what it pins: kubernetes-1.37.2. */
  readonly module: string;
  /** File name of each program, and the main package that it is built from. */
  readonly programs: Readonly<Record<string, string>>;
  /** Values set by the linker: { 'path/of/package.name': 'value' }. */
  readonly values?: Readonly<Record<string, string>>;
  /** Said before a build: what it needs of time. */
  readonly cost: string;
  /** What else would do where there is no Go. */
  readonly instead?: string;
}

/**
 * Directory with the programs; built once, in the user's cache.
 * @throws Error where there is no Go (the message says what to do), or the build fails
 */
export async function buildGoPrograms(wanted: GoPrograms): Promise<string> {
  const source = new URL(`go-modules/${wanted.module}/`, import.meta.url).pathname;
  const values = Object.entries(wanted.values ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  const flags = ['-trimpath', '-buildvcs=false', `-ldflags=-s -w ${values.join(' ')}`];
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  hash.update(JSON.stringify([flags, wanted.programs]));
  const home = ['go', `${wanted.module}-${hash.digest('hex').slice(0, 12)}`];
  if (existsSync(cacheDirectory(...home))) return cacheDirectory(...home);
  if (!(await hasGo())) throw new Error(withoutGo(wanted, source));
  return madeOnce(home, async (scratch) => {
    const names = Object.keys(wanted.programs).join(', ');
    stderr.write(`Building ${names} of ${wanted.module} into ${cacheDirectory(...home)} ${wanted.cost}\n`);
    for (const [name, path] of Object.entries(wanted.programs)) {
      await run('go', ['build', ...flags, '-o', join(scratch, name), path], source, GO_ENVIRONMENT);
    }
  });
}

const GO_ENVIRONMENT = {
  CGO_ENABLED: '0',
  GOFLAGS: '-mod=readonly',
  GOWORK: 'off',
  // go.mod may ask for a newer Go than the host's: then Go (1.21 or later) fetches it through the module proxy.
  GOTOOLCHAIN: env.GOTOOLCHAIN ?? 'auto',
};

function withoutGo({ module, programs, instead = '' }: GoPrograms, source: string): string {
  const go = /^go (\S+)$/m.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1];
  return (
    `Cannot build ${Object.keys(programs).join(', ')} of ${module}: this machine has no Go ` +
    `(install Go ${go} or later; Go 1.21 or later is enough where it may download a newer one${instead})`
  );
}
