// Packages of Debian, of any architecture, unpacked into the cache: nothing is installed, apt's own state is untouched.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { cacheDirectory } from './cache.ts';

/** @throws Error naming what was wanted and from where, with the command's own words */
function run(
  command: string,
  args: readonly string[],
  wanted: string,
  more: Record<string, string> = {},
  cwd?: string,
): void {
  const { status, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    cwd,
    env: { ...env, ...more },
  });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim();
  throw new Error(`Cannot get ${wanted}: ${command} ${args.join(' ')} failed (${reason})`);
}

function aptConfig(directory: string): string {
  for (const part of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(directory, part), { recursive: true });
  writeFileSync(join(directory, 'status'), '');
  const file = join(directory, 'apt.conf');
  writeFileSync(
    file,
    `Dir::State "${directory}/state"; Dir::State::status "${directory}/status"; Dir::Cache "${directory}/cache";
APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; }; APT::Sandbox::User "root";\n`,
  );
  return file;
}

/**
 * Unpacks packages ("libc6:arm64") over each other into one directory, once, and returns it.
 * @param name of the directory in the cache
 * @throws Error when apt-get or dpkg is missing, or the archive cannot be reached
 */
export function debianTree(name: string, packages: readonly string[]): string {
  const home = cacheDirectory('debian');
  const tree = join(home, name);
  if (existsSync(tree)) return tree;
  mkdirSync(home, { recursive: true });
  const work = mkdtempSync(join(home, `.${name}-`));
  try {
    const wanted = `Debian's packages ${packages.join(', ')} for ${tree}`;
    console.error(`Fetching ${wanted}`);
    const apt = { APT_CONFIG: aptConfig(work) };
    run('apt-get', ['-q', 'update'], wanted, apt);
    run('apt-get', ['-q', 'download', ...packages], wanted, apt, work);
    const fresh = join(work, 'tree');
    for (const file of readdirSync(work).filter((f) => f.endsWith('.deb')))
      run('dpkg-deb', ['-x', join(work, file), fresh], wanted);
    // Another run may have been quicker: either tree will do.
    if (!existsSync(tree)) renameSync(fresh, tree);
    return tree;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
