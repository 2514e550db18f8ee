// Makes a device that is home again what it was: item by item, and every item although one is refused.
import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import type { Namespace } from '../kernel/kernel.ts';
import type { Logger } from '../log/logger.ts';
import { planRestore, routeOf, type SavedDevice } from './saved-device.ts';

/** @returns what the device refused, in words; what only the host has changed meanwhile is logged */
export function restoreDevice(host: Namespace, index: number, saved: SavedDevice, log: Logger): string[] {
  const problems: string[] = [];
  const keep = (text: string): void => void problems.push(text);
  const attempt = (work: () => void, report: (text: string) => void = keep) => {
    try {
      work();
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      report(error.message);
    }
  };
  // The host itself may have changed meanwhile: a name given to another NIC, a bridge removed, a gateway gone. The
  // device is home, and no later DEL could do better.
  const ifHostLets = (work: () => void) =>
    attempt(work, (reason) =>
      log.warn('not restored: the host has changed', { device: saved.host.name, reason }),
    );
  const now = host.link({ index });
  if (now === undefined) return problems;
  const changes = planRestore(saved, now);
  // Most drivers change a MAC only while the device is down.
  if (now.up && changes.some((change) => change.mac !== undefined))
    attempt(() => host.setLink(index, { up: false }));
  for (const change of changes)
    (change.addAltnames === undefined ? attempt : ifHostLets)(() => host.setLink(index, change));
  attempt(() => host.setLink(index, { up: saved.host.up }));
  for (const cidr of saved.addresses) ifHostLets(() => host.addAddress(index, { cidr }));
  const { master } = saved;
  if (master !== undefined) ifHostLets(() => enslave(host, index, master));
  // Routes of the link first (scope 253): the gateways of the others are found through them.
  const routes = [...saved.routes].sort((a, b) => b.scope - a.scope);
  for (const route of routes) ifHostLets(() => host.addRoute(routeOf(route, index)));
  return problems;
}

function enslave(host: Namespace, index: number, master: string): void {
  const link = host.link({ name: master });
  if (link === undefined)
    throw new ManifoldError(
      'not-found',
      `Cannot make it a port of ${master} again: the host has no such interface`,
    );
  host.setLink(index, { masterIndex: link.index });
}
