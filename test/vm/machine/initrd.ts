// The guest's first root, made for each boot: the cache holds only what is downloaded, the init script is ours.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { cpio } from './cpio.ts';
import { initScript } from './init.ts';
import type { Machine } from './machine.ts';

/** @param script what Node runs, as the guest sees it */
export function initrd(machine: Machine, script: string): Buffer {
  const order = machine.modules.map((file) => basename(file));
  const directories = ['bin', 'dev', 'proc', 'sys', 'm', 'lower', 'rw', 'new'];
  return cpio([
    ...directories.map((path) => ({ path })),
    { path: 'init', content: Buffer.from(initScript(script)) },
    { path: 'bin/busybox', content: readFileSync(machine.busybox) },
    { path: 'm/order', content: Buffer.from(`${order.join('\n')}\n`) },
    ...machine.modules.map((file) => ({ path: `m/${basename(file)}`, content: readFileSync(file) })),
  ]);
}
