// How a shipped file begins. In the executable the bundle was loaded at build time and lives in a start-up snapshot;
// in every other form it is loaded now.
import { startupSnapshot } from 'node:v8';

/** Set by the build: true in the snapshot, false in a script, missing where the source runs as it is. */
declare const MANIFOLD_SNAPSHOT: boolean | undefined;

/** Runs `main` when the process starts: later, in another process, while a snapshot is being built. */
export function boot(main: () => void): void {
  if (typeof MANIFOLD_SNAPSHOT !== 'undefined' && MANIFOLD_SNAPSHOT)
    startupSnapshot.setDeserializeMainFunction(main);
  else main();
}
