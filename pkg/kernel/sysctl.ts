// /proc/sys, which shows the namespace of the thread that opens it: only synchronous reads and writes, and only
// where the caller already is in the right one.
import { readFileSync, writeFileSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';

/** @param path below /proc/sys: "net/ipv4/conf/eth0.5/arp_notify" @returns undefined where there is no such file */
export function readSysctl(path: string, where: string): string | undefined {
  const file = fileOf(path);
  try {
    return readFileSync(file, 'utf8').replace(/\n$/, '');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw refused(`read sysctl ${path} in ${where}`, error);
  }
}

/** @throws ManifoldError 'not-found' where there is no such file, 'kernel' when the value is refused */
export function writeSysctl(path: string, value: string, where: string): void {
  const file = fileOf(path);
  try {
    // No O_CREAT: procfs answers EACCES to it, which would hide that the file is missing.
    writeFileSync(file, value, { flag: 'r+' });
  } catch (error) {
    throw refused(`write "${value}" to sysctl ${path} in ${where}`, error);
  }
}

function fileOf(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..') || path.includes('\0')) {
    throw new ManifoldError('bad-config', `Cannot use sysctl "${path}": it must be a path below /proc/sys`);
  }
  return `/proc/sys/${path}`;
}

function refused(task: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  return new ManifoldError(code === 'ENOENT' ? 'not-found' : 'kernel', `Cannot ${task}: ${code}`, {
    cause: error,
  });
}

/** errno's name of a failed system call. */
function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
