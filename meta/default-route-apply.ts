// Makes one interface of a pod carry the default route, and looks afterwards whether it does.
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { Kernel, Namespace } from '../pkg/kernel/kernel.ts';
import { type DefaultRouteChange, type DefaultRouteWish, planDefaultRoute } from './default-route.ts';

/**
 * @returns the families of which the interface carries the default route now
 * @throws ManifoldError 'bad-config' when the network gave no gateway and none was asked for; 'kernel' when the
 *   kernel refuses a gateway, or routes are not as they should be after the change
 */
export function applyDefaultRoute(
  kernel: Kernel,
  netns: string,
  wish: DefaultRouteWish,
): DefaultRouteChange['families'] {
  return inNamespace(kernel, netns, (namespace) => {
    const { remove, add, families } = planIn(namespace, wish);
    if (families.length === 0) {
      throw new ManifoldError(
        'bad-config',
        `Cannot give ${wish.ifname} the default route: "default-route" names no gateway and its network gave none`,
        {
          hint: 'Write the gateway into "default-route" of the request, or give the network a gateway and a default route.',
        },
      );
    }
    // Removing first: the kernel refuses a second default route of one priority.
    for (const route of remove) {
      namespace.removeRoute({
        dst: route.dst,
        index: route.index ?? 0,
        table: route.table,
        priority: route.priority,
        ...(route.gateway !== undefined && { gateway: route.gateway }),
      });
    }
    for (const route of add) namespace.addRoute(route);
    const fault = faultOfDefaultRoute(namespace, wish);
    if (fault !== undefined)
      throw new ManifoldError('kernel', `Cannot give ${wish.ifname} the default route: ${fault}`);
    return families;
  });
}

/** What is wrong with the default routes of a pod whose request gave them to one interface; undefined when all is well. */
export function checkDefaultRoute(kernel: Kernel, netns: string, wish: DefaultRouteWish): string | undefined {
  return inNamespace(kernel, netns, (namespace) => faultOfDefaultRoute(namespace, wish));
}

function faultOfDefaultRoute(namespace: Namespace, wish: DefaultRouteWish): string | undefined {
  const { remove, add, families } = planIn(namespace, wish);
  if (families.length === 0) return 'it has none';
  const [missing] = add;
  if (missing) return `there is none by gateway ${missing.gateway}`;
  const [other] = remove;
  if (!other) return undefined;
  const link = other.index === undefined ? undefined : namespace.link({ index: other.index });
  return `another stands beside it (by ${other.gateway ?? 'no gateway'}, ${link?.name ?? 'no interface'})`;
}

function planIn(namespace: Namespace, wish: DefaultRouteWish): DefaultRouteChange {
  const link = namespace.link({ name: wish.ifname });
  if (!link)
    throw new ManifoldError(
      'not-found',
      `Cannot find ${wish.ifname} in ${namespace.path ?? 'the namespace'}`,
    );
  return planDefaultRoute(namespace.routes(), link.index, wish.gateways);
}

function inNamespace<T>(kernel: Kernel, netns: string, work: (namespace: Namespace) => T): T {
  const namespace = kernel.open(netns);
  try {
    return work(namespace);
  } finally {
    namespace.close();
  }
}
