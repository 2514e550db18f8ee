// Programs of the guest, for setting the scene and for looking: never for what our own code has to do.
import { execFileSync } from 'node:child_process';

/** @throws Error with what it wrote to stderr */
export function run(file: string, args: readonly string[]): string {
  return execFileSync(file, [...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 16 << 20,
  });
}
