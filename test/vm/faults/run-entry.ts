// A run in a process of its own, which a test kills. Prints the run's directory.
import { join } from 'node:path';
import { makeRunDirectory } from '../machine/run-directory.ts';
import { runVm } from '../run/vm-run.ts';

const { path } = makeRunDirectory();
console.log(path);
const entry = join(import.meta.dirname, 'guest-entry.ts');
await runVm({ ids: [], entry, directory: path }, new AbortController().signal);
