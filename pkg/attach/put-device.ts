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
 * @param found the device as it was when it was located
 * @throws ManifoldError of the kernel, the device being still on the host
 */
export function moveIntoPod(host: Namespace, pod: Namespace, found: Link, ifname: string): Link {
  if (found.infiniband && host.link({ index: found.index }) === undefined)
    return followRdma(host, pod, found, ifname);
  return move(host, pod, requireLink(host, found.index, ifname), ifname);
}

/** Moved and renamed in one message, so that no udev rule sees a new name on the host in between. */
function move(host: Namespace, pod: Namespace, link: Link, ifname: string): Link {
  const { index } = link;
  // An interface may not have its own name as an alternative name.
  if (link.altnames.includes(ifname)) host.setLink(index, { removeAltnames: [ifname] });
  if (link.up) host.setLink(index, { up: false });
  const moved = pod.link({ index: host.moveLink(index, pod, { name: ifname }) });
  if (moved === undefined)
    throw new ManifoldError('kernel', `Cannot find ${ifname} right after ${link.name} was moved`);
  return moved;
}

const MADE_MS = 3000;
const LOOK_EVERY_MS = 20;

/**
 * When an RDMA device is moved the kernel makes its InfiniBand interface anew: where the RDMA device is now, or, with
 * kernels that do not know better, in the first namespace.
 */
function followRdma(host: Namespace, pod: Namespace, { name, device }: Link, ifname: string): Link {
  const isIt = (link: Link) => device !== undefined && link.infiniband && link.device?.name === device.name;
  const end = monotonicMs() + MADE_MS;
  do {
    const inPod = pod.links().find(isIt);
    if (inPod !== undefined) {
      if (inPod.up) pod.setLink(inPod.index, { up: false });
      pod.setLink(inPod.index, { name: ifname });
      return { ...inPod, name: ifname, up: false };
    }
    const onHost = host.links().find(isIt);
    if (onHost !== undefined) return move(host, pod, onHost, ifname);
    sleep(LOOK_EVERY_MS);
  } while (monotonicMs() < end);
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
