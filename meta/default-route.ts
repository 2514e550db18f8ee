// Which interface of a pod carries the default route when a request says "default-route" (NPWG 4.1.2.1.9): pure.
// The kernel's part is default-route-apply.ts.
import type { CniResult } from '../pkg/cni/result.ts';
import type { NewRoute, Route } from '../pkg/kernel/kernel.ts';

type Family = 4 | 6;

/** The request: gateways of the interface; an empty list keeps the ones that its own network gave. */
export interface DefaultRouteWish {
  readonly ifname: string;
  readonly gateways: readonly string[];
}

export interface DefaultRouteChange {
  readonly remove: readonly Route[];
  readonly add: readonly NewRoute[];
  /** Families of which the interface carries the default route afterwards; empty: there is no gateway at all. */
  readonly families: readonly Family[];
}

const MAIN_TABLE = 254;
const UNICAST = 1;

const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4);

/** Both spellings of "everywhere" that CNI results and the kernel use. */
const isDefaultDestination = (dst: string): boolean => /^(0\.0\.0\.0|::|0::0|0:0:0:0:0:0:0:0)\/0$/.test(dst);

const isDefaultRoute = (route: Route): boolean =>
  isDefaultDestination(route.dst) && route.table === MAIN_TABLE && route.type === UNICAST;

/**
 * What to change so that, of each family concerned, the wished interface alone carries the default route.
 * Planning again after the change gives no steps.
 * @param routes all routes of the pod's namespace
 * @param index the interface of the wish
 */
export function planDefaultRoute(
  routes: readonly Route[],
  index: number,
  gateways: readonly string[],
): DefaultRouteChange {
  const present = routes.filter(isDefaultRoute);
  const own = present.filter((route) => route.index === index);
  const families = [4, 6].filter((family): family is Family =>
    gateways.length > 0
      ? gateways.some((gateway) => familyOf(gateway) === family)
      : own.some((route) => familyOf(route.dst) === family),
  );
  const concerned = present.filter((route) => families.includes(familyOf(route.dst)));
  const wanted = (route: Route) =>
    route.index === index && (gateways.length === 0 || gateways.includes(route.gateway ?? ''));
  const add = gateways
    .filter((gateway) => !own.some((route) => route.gateway === gateway))
    .map((gateway) => ({ dst: familyOf(gateway) === 6 ? '::/0' : '0.0.0.0/0', gateway, index }));
  return { remove: concerned.filter((route) => !wanted(route)), add, families };
}

/**
 * A result after the change: the default routes that were taken from its interface are gone from it, the ones that
 * it was given are in it, so that CHECK compares with what is true.
 */
export function resultWithDefaultRoute(
  result: CniResult,
  ifname: string,
  wish: DefaultRouteWish,
  families: readonly Family[],
): CniResult {
  if (ifname === wish.ifname && wish.gateways.length === 0) return result;
  const others = (result.routes ?? []).filter(
    (route) => !(isDefaultDestination(route.dst) && families.includes(familyOf(route.dst))),
  );
  const given =
    ifname === wish.ifname
      ? wish.gateways.map((gw) => ({ dst: familyOf(gw) === 6 ? '::/0' : '0.0.0.0/0', gw }))
      : [];
  return { ...result, routes: [...others, ...given] };
}
