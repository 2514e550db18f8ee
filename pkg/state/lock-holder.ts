// Who holds a long lock: an empty directory beside it, as the lock is one, whose name is the process. At most one.
import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Writer } from './node-store.ts';
import { errnoOf } from './state-error.ts';
import { bootId, isAlive, thisWriter } from './writer.ts';

const NAME = /^(\d+)-(\d+)-(.+)$/;

/** Writes down that this process holds the lock, whoever held it before. @returns what takes that back */
export function showHolder(directory: string, lock: string): () => void {
  for (const { path } of holdersOf(directory, lock)) removeHolder(path);
  const { pid, startTime, bootId: boot } = thisWriter();
  const path = join(directory, `${lock}.holder-${pid}-${startTime}-${boot}`);
  mkdirSync(path, { mode: 0o700 });
  return () => removeHolder(path);
}

/** Removes the lock of a process that died, so that it can be had. Of several that try, one does it. */
export function passOverDead(directory: string, lock: string): void {
  const boot = bootId();
  const lockPath = join(directory, `${lock}.lock`);
  const bornAt = (of: string) => statSync(of, { bigint: true, throwIfNoEntry: false })?.birthtimeNs;
  for (const { path, writer } of holdersOf(directory, lock)) {
    if (isAlive(writer, boot)) continue;
    // A holder is shown after its lock was made: a younger lock is somebody else's.
    const [lockBorn, shownAt] = [bornAt(lockPath), bornAt(path)];
    const isItsLock = lockBorn !== undefined && shownAt !== undefined && lockBorn <= shownAt;
    try {
      rmdirSync(path);
      if (isItsLock) rmdirSync(lockPath);
    } catch (error) {
      // Another was quicker, and may have the lock by now: it is no longer the dead one's.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** The process that holds the lock, as far as it is known. */
export const holderOf = (directory: string, lock: string): Writer | undefined =>
  holdersOf(directory, lock)[0]?.writer;

function removeHolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Another, who took the lock over, was quicker.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function holdersOf(directory: string, lock: string): { readonly path: string; readonly writer: Writer }[] {
  const prefix = `${lock}.holder-`;
  return readdirSync(directory).flatMap((name) => {
    const parts = name.startsWith(prefix) ? NAME.exec(name.slice(prefix.length)) : null;
    if (parts === null) return [];
    const [, pid = '', startTime = '', boot = ''] = parts;
    return [{ path: join(directory, name), writer: { pid: Number(pid), startTime, bootId: boot } }];
  });
}
