// A process that writes to a store until it is killed: the other half of the state tests.
import { writeSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { plug, unplug } from './state-records.ts';

/** Argument: directory, name of the writer, how many times (0: until killed). Says each number when it is committed. */
function main([directory = '', name = '', times = '0']: readonly string[]): void {
  const store = openNodeStore(directory, { runDirectory: `${directory}-run` });
  for (let number = 0; times === '0' || number < Number(times); number++) {
    plug(store, name, number);
    writeSync(stdout.fd, `${number}\n`);
    // Some go again, so that the file also shrinks.
    if (number % 3 === 2) store.transaction(() => unplug(store, `${name}-${number - 1}`));
  }
  exit(0); // as our programs end: without closing
}

main(argv.slice(2));
