// A device of the host into the pod, under its final name.
import { ManifoldError } from '../errors/manifold-error.ts';
import { monotonicMs, sleep } from '../kernel/clock.ts';
import type { Link, Namespace } from '../kernel/kernel.ts';
import { readHostNetwork } from './device-in-use.ts';
import { describeDevice, type SavedDevice } from './saved-device.ts';

/**
 * What a device is now.
 * @param found the device as it was when it was located
 * @throws ManifoldError 'try-later' when it is not on the host any more
 */
export function saveDevice(host: Namespace, found: Link): SavedDevice {
  const link = requireLink(host, found.index, found.name);
  const { addresses, routes, links } = readHostNetwork(host);
  return describeDevice(
    link,
    addresses.filter((address) => address.index === link.index),
    routes.filter((route) => route.index === link.index),
    links.find((one) => one.index === link.masterIndex),
  );
}

/**
 * Moved and renamed in one message, so that no udev rule sees a new name on the host in between.
 * @throws ManifoldError of the kernel, the device being still on the host
 */
export function moveIntoPod(host: Namespace, pod: Namespace, found: Link, ifname: string): Link {
  const { index } = found;
  if (found.infiniband && host.link({ index }) === undefined) return followRdma(pod, found, ifname);
  const link = requireLink(host, index, ifname);
  // An interface may not have its own name as an alternative name.
  if (link.altnames.includes(ifname)) host.setLink(index, { removeAltnames: [ifname] });
  if (link.up) host.setLink(index, { up: false });
  const moved = pod.link({ index: host.moveLink(index, pod, { name: ifname }) });
  if (moved === undefined)
    throw new ManifoldError('kernel', `Cannot find ${ifname} right after ${link.name} was moved`);
  return moved;
}

/** The kernel's side of an InfiniBand interface being made anew. */
const MADE_MS = 3000;
const LOOK_EVERY_MS = 20;

/** An InfiniBand interface belongs to its RDMA device: where that went, the kernel has made another. */
function followRdma(pod: Namespace, { name, device }: Link, ifname: string): Link {
  const end = monotonicMs() + MADE_MS;
  for (;;) {
    const made = pod
      .links()
      .find((link) => device !== undefined && link.infiniband && link.device?.name === device.name);
    if (made !== undefined) {
      if (made.up) pod.setLink(made.index, { up: false });
      pod.setLink(made.index, { name: ifname });
      return { ...made, name: ifname };
    }
    if (monotonicMs() >= end) break;
    sleep(LOOK_EVERY_MS);
  }
  throw new ManifoldError(
    'kernel',
    `Cannot find the interface of ${name} in the pod, where its RDMA device was moved`,
  );
}

function requireLink(host: Namespace, index: number, name: string): Link {
  const link = host.link({ index });
  if (link !== undefined) return link;
  throw new ManifoldError('try-later', `Cannot take ${name}: it has just left the host`, {
    hint: 'Another call or an administrator has moved it. Retry.',
  });
}
