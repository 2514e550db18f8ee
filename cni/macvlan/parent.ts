// Finds the parent of a macvlan, in the host's namespace or in the pod's.
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { defaultRouteLinks } from '../../pkg/kernel/default-route.ts';
import type { Link, Namespace } from '../../pkg/kernel/kernel.ts';
import type { MacvlanConfig } from './config.ts';

/**
 * @param place the namespace to look in
 * @throws ManifoldError 'not-found' with the names that are there; 'bad-config' for an MTU above the parent's
 */
export function findParent(place: Namespace, config: MacvlanConfig, network: string): Link {
  const parent =
    config.master === undefined ? byDefaultRoute(place, network) : byName(place, config.master, network);
  if (config.mtu > parent.mtu)
    throw new ManifoldError(
      'bad-config',
      `Cannot use 'mtu' as it must be at most that of the parent ${parent.name}, ${parent.mtu}: current value is ${config.mtu}`,
      {
        hint: `Lower "mtu" of network ${network}, or raise it on ${parent.name}: ip link set ${parent.name} mtu ${config.mtu}`,
      },
    );
  return parent;
}

/** As findParent. @throws ManifoldError 'kernel' when the parent is down: no macvlan comes up over it */
export function findParentUp(place: Namespace, config: MacvlanConfig, network: string): Link {
  const parent = findParent(place, config, network);
  if (parent.up) return parent;
  throw new ManifoldError(
    'kernel',
    `Cannot create a macvlan of network ${network}: its parent ${parent.name} is down`,
    { hint: `A macvlan comes up only over a parent that is up: ip link set ${parent.name} up` },
  );
}

function byName(place: Namespace, name: string, network: string): Link {
  const parent = place.link({ name });
  if (parent?.loopback)
    throw new ManifoldError(
      'bad-config',
      `Cannot use 'master' as it must be an Ethernet interface: current value is "${name}"`,
      {
        hint: `A macvlan needs a NIC, or what looks like one. Name one of ${namesOf(place)}.`,
      },
    );
  if (parent !== undefined) return parent;
  const where = place.path === undefined ? 'this host' : place.path;
  throw new ManifoldError('not-found', `Cannot find parent interface ${name} on ${where}`, {
    hint: `"master" names an interface of ${where}, which has: ${namesOf(place)}. Mend network ${network} or the node's cabling.`,
  });
}

function byDefaultRoute(place: Namespace, network: string): Link {
  const index = defaultRouteLinks(place)[0];
  const parent = index === undefined ? undefined : place.link({ index });
  if (parent !== undefined) return parent;
  const where = place.path === undefined ? 'this host' : place.path;
  throw new ManifoldError('not-found', `Cannot find a parent interface: ${where} has no default route`, {
    hint: `Without "master", the interface of the default route is the parent. Name one of ${namesOf(place)} as "master" in network ${network}.`,
  });
}

function namesOf(place: Namespace): string {
  const names = place
    .links()
    .filter((link) => !link.loopback)
    .map((link) => link.name);
  return names.length === 0 ? 'none' : names.join(', ');
}
