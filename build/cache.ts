// Where downloads are kept that the repository does not hold: outside of it, shared by all checkouts.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';

export function cacheDirectory(...parts: string[]): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'manifold', ...parts);
}
