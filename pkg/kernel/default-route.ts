// Which links carry a default route: taking one of them away cuts the machine off.
import type { Namespace } from './kernel.ts';

const RTN_UNICAST = 1;

/** Indexes of the links with a default route, IPv4 or IPv6, in any table; in ascending order. */
export function defaultRouteLinks(namespace: Pick<Namespace, 'routes'>): number[] {
  const indexes = namespace
    .routes()
    .filter(({ dst, type }) => type === RTN_UNICAST && (dst === '0.0.0.0/0' || dst === '::/0'))
    .flatMap(({ index }) => (index === undefined ? [] : [index]));
  return [...new Set(indexes)].sort((a, b) => a - b);
}
