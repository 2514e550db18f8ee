// Files that were to get another name once they were whole, and whose process died before.
import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from './state-error.ts';

/**
 * Removes the drafts of processes that do not live any more. Where that cannot be done they stay: they harm nobody.
 * @param pattern of the name of a draft; its first group is the pid
 */
export function removeDeadDrafts(directory: string, pattern: RegExp): void {
  for (const name of readdirSync(directory)) {
    const pid = pattern.exec(name)?.[1];
    // A pid that was given to another process meanwhile: the draft goes another time.
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    try {
      unlinkSync(join(directory, name));
    } catch (error) {
      if (!['ENOENT', 'EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
}
