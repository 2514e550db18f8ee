// From the result of IPAM to what the interface shall be, in the pod's namespace.
import type { CniInterface, CniResult } from '../cni/result.ts';
import { canonicalCidr } from '../ip/cidr.ts';
import type { NewMacvlan } from '../kernel/kernel.ts';
import type { WantedInterface, WantedSysctl } from '../kernel/plan.ts';
import { canonicalNetwork } from './canonical.ts';
import { wantedRoutes } from './ipam.ts';

/** How long ADD waits for duplicate address detection when a route goes by an IPv6 gateway: the reference's figure. */
const DAD_TIMEOUT_MS = 5000;

/**
 * @param made name, and where they are to be held: MAC and MTU
 * @param result addresses and routes; undefined for an interface that is only brought up
 */
export function wantedInterface(
  made: Pick<CniInterface, 'name' | 'mac' | 'mtu'>,
  result: CniResult | undefined,
  macvlan?: NewMacvlan,
): WantedInterface {
  const ips = result?.ips ?? [];
  const ipv6 = ips.filter((ip) => ip.address.includes(':'));
  const routes = result === undefined ? [] : wantedRoutes(result);
  return {
    name: made.name,
    ...(made.mac === undefined ? {} : { mac: made.mac.toLowerCase() }),
    ...(made.mtu === undefined ? {} : { mtu: made.mtu }),
    ...(macvlan === undefined ? {} : { macvlan }),
    addresses: ips.map((ip) => canonicalCidr(ip.address)),
    routes: routes.map((route) => ({ ...route, dst: canonicalNetwork(route.dst) })),
    sysctls: [
      ...(ipv6.length > 0 ? ipv6Sysctls(made.name) : []),
      ...(ips.length > 0 ? notifySysctls(made.name) : []),
    ],
    ...(ipv6.some((ip) => ip.gateway !== undefined) ? { dadTimeoutMs: DAD_TIMEOUT_MS } : {}),
  };
}

/** An IPv6 address can be set only where IPv6 is on, and shall outlive a link that goes down and up. */
function ipv6Sysctls(name: string): WantedSysctl[] {
  return [
    { path: 'net/ipv6/conf/lo/disable_ipv6', value: '0', required: true },
    { path: `net/ipv6/conf/${name}/disable_ipv6`, value: '0', required: true },
    { path: `net/ipv6/conf/${name}/keep_addr_on_down`, value: '1', required: true },
  ];
}

/** The kernel tells the neighbours again whenever the MAC or the link state changes. */
function notifySysctls(name: string): WantedSysctl[] {
  return [
    { path: `net/ipv4/conf/${name}/arp_notify`, value: '1', required: false },
    { path: `net/ipv6/conf/${name}/ndisc_notify`, value: '1', required: false },
  ];
}
