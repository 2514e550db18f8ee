// What the state tests put into a store.
import type { NodeStore } from '../../pkg/state/node-store.ts';

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

export function unplug(store: NodeStore, containerId: string): void {
  for (const { domain, address } of store.leases.ofContainer(containerId))
    store.leases.remove(domain, address);
  store.interfaces.remove({ containerId, ifname: 'net1', network: 'rail0' });
  store.attachments.remove({ containerId, ifname: 'net1' });
}
