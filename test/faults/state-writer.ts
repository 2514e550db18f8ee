// A process that writes to a store until it is killed: the other half of the state tests.

import { writeSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

export const STATE_WRITER = import.meta.filename;

/** Two leases, an interface and an attachment of one container: all of them or none. */
export function plug(store: NodeStore, name: string, number: number): void {
  const containerId = `${name}-${number}`;
  const id = { containerId, ifname: 'net1', network: 'rail0', pod: { uid: containerId }, netns: '/n' };
  const { writer } = store;
  const low = Number.parseInt(name.replace(/\D/g, '') || '0', 10) * 256 + (number % 256);
  store.transaction(() => {
    const lease = { ...id, domain: name, owner: containerId, state: 'held' as const, acquired: 1, writer };
    store.leases.put({ ...lease, address: `10.0.${(low >> 8) & 255}.${low & 255}` });
    store.interfaces.put({ ...id, plugin: 'macvlan', netnsId: '4:1', state: 'added', saved: {}, writer });
    store.attachments.put({ ...id, position: 1, config: {}, args: {}, state: 'added', writer });
    store.leases.put({ ...lease, address: `fd00::${low.toString(16)}` });
  });
}

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

function unplug(store: NodeStore, containerId: string): void {
  for (const { domain, address } of store.leases.ofContainer(containerId))
    store.leases.remove(domain, address);
  store.interfaces.remove({ containerId, ifname: 'net1', network: 'rail0' });
  store.attachments.remove({ containerId, ifname: 'net1' });
}

if (argv[1] === STATE_WRITER) main(argv.slice(2));
