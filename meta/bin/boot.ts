// How a shipped file begins. In the executable the bundle was loaded at build time and lives in a start-up snapshot;
// in every other form it is loaded now.
import { writeSync } from 'node:fs';
import { exit, setUncaughtExceptionCaptureCallback } from 'node:process';
import { startupSnapshot } from 'node:v8';

/** Set by the build: true in the snapshot, false in a script, missing where the source runs as it is. */
declare const MANIFOLD_SNAPSHOT: boolean | undefined;

/** Runs `main` when the process starts: later, in another process, while a snapshot is being built. */
export function boot(main: () => void): void {
  const begin = () => {
    setUncaughtExceptionCaptureCallback(reportDefect);
    main();
  };
  if (typeof MANIFOLD_SNAPSHOT !== 'undefined' && MANIFOLD_SNAPSHOT)
    startupSnapshot.setDeserializeMainFunction(begin);
  else begin();
}

/** Node would print the line of the source that threw, which in a bundle is most of the file. */
function reportDefect(error: unknown): void {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  writeSync(2, `Cannot go on: ${text.replaceAll('\n', ' ')} (a defect of Manifold: please report it)\n`);
  exit(1);
}
