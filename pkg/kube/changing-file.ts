// A small file that somebody else renews while this process runs: a token, a certificate.
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { KubeError } from './kube-error.ts';

export interface ChangingFile {
  readonly path: string;
  /** What is in it as of now. @throws KubeError Credentials when it cannot be read, or is empty */
  text(): string;
  /** Reads it though it looks unchanged: a time stamp may be coarser than two writes. */
  again(): string;
}

/** @param what in messages: "the token" */
export function changingFile(path: string, what: string, namedBy: string): ChangingFile {
  let kept: { readonly stamp: string; readonly text: string } | undefined;
  // A volume of Kubernetes swaps a symbolic link: the inode changes, the time stamp need not.
  const stampOf = (): string => {
    const { ino, mtimeMs, size } = statSync(path);
    return `${ino} ${mtimeMs} ${size}`;
  };
  const read = (): string => {
    try {
      const stamp = stampOf();
      if (kept?.stamp !== stamp) kept = { stamp, text: readFileSync(path, 'utf8') };
    } catch (error) {
      throw unreadable(path, what, namedBy, error);
    }
    if (kept.text.trim() === '') throw emptyFile(path, what, namedBy);
    return kept.text;
  };
  return {
    path,
    text: read,
    again() {
      kept = undefined;
      return read();
    },
  };
}

const emptyFile = (path: string, what: string, namedBy: string) =>
  new KubeError('Credentials', `Cannot use ${what}: the file is empty (${path}, named by ${namedBy})`, {
    hint: `Whatever writes ${path} has not done so yet, or has failed; the call may be repeated when it has.`,
  });

/** @param error of node:fs, which names the path and nothing of what is in it */
export function unreadable(path: string, what: string, namedBy: string, error: unknown): unknown {
  const errno = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (errno === undefined || errno.startsWith('ERR_')) return error;
  const [reason, hint] = REASONS[errno] ?? ['it cannot be read', `Look at it: ls -la ${dirname(path)}`];
  const from = namedBy === path ? path : `${path}, named by ${namedBy}`;
  return new KubeError('Credentials', `Cannot read ${what}: ${reason} (${from}: ${errno})`, { hint });
}

const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOENT: ['there is no such file', 'Put it there, or name the file that is meant by its absolute path.'],
  ENOTDIR: ['there is no such file', 'A part of the path before its end is a file: correct the path.'],
  EACCES: ['this process may not', 'It runs as root on a node; elsewhere make the file readable to it.'],
  EISDIR: ['it is a directory', 'Name the file itself.'],
  ELOOP: ['symbolic links lead in a circle', 'Mend them: namei -l shows each step.'],
};
