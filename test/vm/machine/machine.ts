// The parts of the virtual machine, in a cache outside the repository: QEMU and the guest's root are one tree of Debian
// packages, run by their own loader, so that nothing on the host is replaced.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { arch } from 'node:process';
import { cacheDirectory } from '../../../build/cache.ts';
import { madeOnce, run } from '../../kit/build-cache.ts';
import { unpackDebian } from './debian-suite.ts';
import { vmlinuxOf } from './kernel-image.ts';
import { INITRD_MODULES, KERNEL_PACKAGE, PACKAGES, recipeHash, SUITE, UNUSED } from './recipe.ts';

export interface Machine {
  /** Root of the guest, shared read-only; holds QEMU too. */
  readonly tree: string;
  readonly vmlinux: string;
  /** Kernel modules for the initrd, unpacked, in order of loading. */
  readonly modules: readonly string[];
  readonly busybox: string;
}

/**
 * Made at the first call, found by later ones. The name in the cache is the recipe's hash; the versions that were
 * current on that day are listed in its file "versions".
 * @throws Error where there is no apt-get, or the archive cannot be reached
 */
export async function readyMachine(): Promise<Machine> {
  if (arch !== 'x64')
    throw new Error(`Cannot run the virtual machine: QEMU is taken as a package for x64 (${arch})`);
  const home = ['vm', `${SUITE}-${recipeHash()}`];
  const directory = await madeOnce(home, async (scratch) => {
    try {
      await make(scratch, cacheDirectory(...home));
    } catch (error) {
      const reason = error instanceof Error ? error.message.trim() : String(error);
      const hint = reason.endsWith('ENOENT') ? ' (it needs apt-get, apt-cache and dpkg-deb)' : '';
      throw new Error(`Cannot make the virtual machine of the tests: ${reason}${hint}`, { cause: error });
    }
  });
  return {
    tree: join(directory, 'tree'),
    vmlinux: join(directory, 'vmlinux'),
    modules: INITRD_MODULES.map((module) => join(directory, 'modules', `${basename(module)}.ko`)),
    busybox: join(directory, 'tree/usr/bin/busybox'),
  };
}

/** How a program of the tree is run on the host: file and first arguments. */
export function treeProgram(tree: string, path: string): string[] {
  const libraries = join(tree, 'usr/lib/x86_64-linux-gnu');
  const loader = join(libraries, 'ld-linux-x86-64.so.2');
  return [loader, '--library-path', libraries, '--argv0', basename(path), join(tree, path)];
}

async function make(scratch: string, target: string): Promise<void> {
  const tree = join(scratch, 'tree');
  const wish = { suite: SUITE, packages: PACKAGES, kernelPackage: KERNEL_PACKAGE };
  const { versions, kernel } = await unpackDebian(wish, scratch, tree, target);
  // Packages of a merged /usr leave these links to base-files.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(tree, name));
  for (const path of UNUSED) rmSync(join(tree, path), { recursive: true, force: true });
  for (const path of ['dev', 'proc', 'sys', 'run', 'tmp', 'repo', 'node', 'host', 'root'])
    mkdirSync(join(tree, path), { recursive: true });
  writeFileSync(join(scratch, 'vmlinux'), vmlinuxOf(readFileSync(join(tree, 'boot', `vmlinuz-${kernel}`))));
  rmSync(join(tree, 'boot'), { recursive: true });
  await unpackModules(scratch, tree, kernel);
  await linkBusybox(scratch, tree);
  writeFileSync(join(scratch, 'versions'), `${versions.join('\n')}\n`);
}

async function unpackModules(scratch: string, tree: string, kernel: string): Promise<void> {
  const [xz = '', ...xzArguments] = treeProgram(tree, 'usr/bin/xz');
  const modules = join(scratch, 'modules');
  mkdirSync(modules);
  for (const module of INITRD_MODULES) {
    const packed = join(tree, 'usr/lib/modules', kernel, 'kernel', `${module}.ko.xz`);
    const copy = join(modules, basename(packed));
    cpSync(packed, copy);
    await run(xz, [...xzArguments, '-d', copy], scratch);
  }
  const [kmod = '', ...kmodArguments] = treeProgram(tree, 'usr/bin/kmod');
  // kmod is depmod when it is called so.
  const depmod = kmodArguments.map((argument) => (argument === 'kmod' ? 'depmod' : argument));
  await run(kmod, [...depmod, '-b', tree, kernel], scratch);
  if (!readdirSync(join(tree, 'usr/lib/modules', kernel)).includes('modules.dep'))
    throw new Error(`Cannot list the kernel's modules: depmod wrote no modules.dep (${kernel})`);
}

/** Mount, sleep and the like, where the packages have brought no better ones. */
async function linkBusybox(scratch: string, tree: string): Promise<void> {
  rmSync(join(tree, 'usr/bin/sh'), { force: true });
  symlinkSync('dash', join(tree, 'usr/bin/sh'));
  const commands = (await run(join(tree, 'usr/bin/busybox'), ['--list'], scratch)).trim().split('\n');
  for (const command of commands) {
    const taken = ['usr/bin', 'usr/sbin'].some((directory) => existsSync(join(tree, directory, command)));
    if (!taken) symlinkSync('busybox', join(tree, 'usr/bin', command));
  }
}
