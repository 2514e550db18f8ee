// Stops a run of the root tests at once where they cannot work.
import { getuid } from 'node:process';

export function setup(): void {
  if (getuid?.() === 0) return;
  const error = new Error('Cannot run the tests under test/: they make network namespaces and need root');
  error.stack = error.message;
  throw error;
}
