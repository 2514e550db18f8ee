// The leases of one address, by what a person types.
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { leaseName } from '../../ipam/lease-name.ts';
import { type Address, formatAddress, readAddress } from '../../pkg/ip/address.ts';
import { cidrContains, readCidr } from '../../pkg/ip/cidr.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { ifFound } from '../../pkg/kube/kube-error.ts';
import { UsageError } from './usage-error.ts';

/** With or without a prefix length, as other tools print it. @throws UsageError */
export function addressOf(text: string): Address {
  const address = readAddress(text) ?? readCidr(text)?.address;
  if (address === undefined) throw new UsageError(`"${text}" is no IP address.`);
  return address;
}

/** In that domain, or in all of them: an address may be given once in each. */
export async function leasesOfAddress(
  client: KubeClient,
  address: Address,
  domain: string | undefined,
): Promise<IpLease[]> {
  if (domain !== undefined) {
    const lease = await leaseNamed(client, leaseName(domain, address));
    return lease === undefined ? [] : [lease];
  }
  const plain = leaseName('', address);
  const { items } = await client.list(IP_LEASES, { metadataOnly: true });
  const names = items
    .map(({ metadata }) => metadata.name)
    .filter((name) => name === plain || name.endsWith(`.${plain}`));
  const found = await Promise.all(names.map((name) => leaseNamed(client, name)));
  // "x.10.1.2.3" ends like "3.10.1.2.3" would: what the object says counts.
  return found.flatMap((lease) => (lease?.spec.address === formatAddress(address) ? [lease] : []));
}

const leaseNamed = (client: KubeClient, name: string): Promise<IpLease | undefined> =>
  ifFound(client.get<IpLease>(IP_LEASES, name));

/** Sentences on what surrounds an address that has no lease. */
export async function surroundings(
  client: KubeClient,
  address: Address,
  domain: string | undefined,
): Promise<string[]> {
  const { items } = await client.list<IpLease>(IP_LEASES);
  const around = items.filter(({ spec }) => {
    const subnet = readCidr(spec.subnet);
    return (
      (domain === undefined || spec.domain === domain) &&
      subnet !== undefined &&
      cidrContains(subnet, address)
    );
  });
  const places = Map.groupBy(around, ({ spec }) => `${spec.subnet} of network ${spec.network}`);
  if (places.size === 0) return ['No lease is of a subnet that it lies in.'];
  return [...places].map(([place, leases]) => {
    const held = leases.filter(({ spec }) => spec.phase === 'Held').length;
    return `It lies in ${place}: ${held} held there, ${leases.length - held} resting.`;
  });
}
