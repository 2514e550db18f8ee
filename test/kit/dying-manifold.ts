// `manifold` from its source, that kills itself (SIGKILL) at the step whose number is its first argument. Standard
// error has a line "step <number> <name>" for each step that it came to.
import { argv, execPath, kill, pid } from 'node:process';
import { metaAndDelegates } from '../../meta/bin/meta-and-delegates.ts';
import { start } from '../../meta/bin/start.ts';
import { writeAll } from '../../pkg/cni/stdio.ts';

const last = Number(argv[2] ?? 0);
let count = 0;

void start(
  'manifold',
  (deps) => metaAndDelegates(deps, execPath),
  (name) => {
    count++;
    writeAll(2, `step ${count} ${name}\n`);
    if (count === last) kill(pid, 'SIGKILL');
  },
);
