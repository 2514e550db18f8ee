// An address that Whereabouts has given, as a lease that nobody here may take: for choices, sums and messages.
import { type Address, formatAddress } from '../../pkg/ip/address.ts';
import { type IpLease, newIpLease, timeText } from '../ip-lease.ts';
import { leaseName } from '../lease-name.ts';

export interface TheirHolder {
  readonly podref: string;
  readonly ifname?: string | undefined;
  readonly container?: string | undefined;
  /** RFC 3339. */
  readonly since?: string | undefined;
}

/** What stands for network and node, of which their objects say nothing. */
const UNKNOWN = '(Whereabouts)';

/** Never stored: it has neither UID nor resourceVersion, and times of no meaning. */
export function leaseOfTheirs(domain: string, address: Address, holder: TheirHolder): IpLease {
  const { namespace, name } = podOfRef(holder.podref);
  const since = timeText(Date.parse(holder.since ?? '') || 0);
  return newIpLease(leaseName(domain, address), {
    ...{
      address: formatAddress(address),
      subnet: '',
      domain,
      network: UNKNOWN,
      node: UNKNOWN,
      phase: 'Held',
    },
    owner: {
      ...{ podNamespace: namespace, podName: name, uid: `whereabouts ${holder.podref}` },
      ...{ interface: holder.ifname ?? '(unknown)', containerID: holder.container ?? '(unknown)' },
    },
    ...{ acquired: since, renewed: since },
  });
}

/** "namespace/name" */
export function podOfRef(podref: string): { readonly namespace: string; readonly name: string } {
  const slash = podref.indexOf('/');
  return { namespace: podref.slice(0, Math.max(slash, 0)), name: podref.slice(slash + 1) };
}
