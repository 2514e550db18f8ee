// `manifold leases`: who holds which address in the cluster.
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { compareAddresses, parseAddress } from '../../pkg/ip/address.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { jsonLines } from './json-text.ts';
import type { Report } from './main.ts';
import { formatTable } from './table.ts';
import { ageText, durationText } from './time-text.ts';

export interface LeaseFilter {
  readonly network?: string | undefined;
  readonly namespace?: string | undefined;
  readonly node?: string | undefined;
  readonly pod?: string | undefined;
}

export type LeaseOutput = 'table' | 'wide' | 'json';

export async function leaseListReport(
  client: KubeClient,
  filter: LeaseFilter,
  output: LeaseOutput,
): Promise<Report> {
  const fieldSelector = selectorOf(filter);
  const { items } = await client.list<IpLease>(IP_LEASES, fieldSelector === '' ? {} : { fieldSelector });
  const lines = leaseLines([...items].sort(byAddress), output, client.now());
  return {
    lines: lines.length > 0 ? lines : [fieldSelector === '' ? 'No leases.' : 'No such leases.'],
    exitCode: 0,
  };
}

/** The API server does the filtering (selectableFields of the CRD). */
function selectorOf({ network, namespace, node, pod }: LeaseFilter): string {
  const wanted = {
    'spec.network': network,
    'spec.owner.podNamespace': namespace,
    'spec.owner.podName': pod,
    'spec.node': node,
  };
  return Object.entries(wanted)
    .flatMap(([field, value]) =>
      value === undefined ? [] : `${field}=${value.replaceAll(/[\\,=]/g, '\\$&')}`,
    )
    .join(',');
}

function byAddress({ spec: a }: IpLease, { spec: b }: IpLease): number {
  if (a.domain !== b.domain) return a.domain < b.domain ? -1 : 1;
  return compareAddresses(parseAddress(a.address), parseAddress(b.address));
}

const HEADER = ['ADDRESS', 'NETWORK', 'NAMESPACE', 'POD', 'INTERFACE', 'PHASE', 'NODE', 'AGE'];
const WIDE = ['SUBNET', 'DOMAIN', 'CONTAINER', 'UID', 'RENEWED', 'FREE-IN'];

/** None for no leases, but for JSON. @param now milliseconds since the epoch */
function leaseLines(leases: readonly IpLease[], output: LeaseOutput, now: number): string[] {
  if (output === 'json') return jsonLines({ leases: leases.map(jsonOf) });
  if (leases.length === 0) return [];
  const wide = output === 'wide';
  return formatTable(
    wide ? [...HEADER, ...WIDE] : HEADER,
    leases.map((lease) => [...columnsOf(lease, now), ...(wide ? moreColumnsOf(lease, now) : [])]),
  );
}

const columnsOf = ({ spec: { address, network, owner, phase, node, acquired } }: IpLease, now: number) => [
  address,
  network,
  owner.podNamespace ?? '-',
  owner.podName ?? '-',
  owner.interface,
  phase,
  node,
  ageText(acquired, now),
];

const moreColumnsOf = ({ spec: { subnet, domain, owner, renewed, until } }: IpLease, now: number) => [
  subnet,
  domain || '-',
  owner.containerID,
  owner.uid,
  ageText(renewed, now),
  until === undefined ? '-' : durationText(Date.parse(until) - now),
];

/** The stable form for scripts (docs/leases-command.md): keys that do not apply are absent. */
function jsonOf({ metadata, spec }: IpLease) {
  const { owner, ...rest } = spec;
  return {
    name: metadata.name,
    address: rest.address,
    subnet: rest.subnet,
    domain: rest.domain,
    network: rest.network,
    phase: rest.phase,
    node: rest.node,
    namespace: owner.podNamespace,
    pod: owner.podName,
    uid: owner.uid,
    interface: owner.interface,
    container: owner.containerID,
    acquired: rest.acquired,
    renewed: rest.renewed,
    released: rest.released,
    until: rest.until,
  };
}
