// `manifold status`: what this node has attached, from its state, for people.
import { describePod } from '../../pkg/attach/deps.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import type { ClusterLeaseRecord, LeaseRecord, NodeStore } from '../../pkg/state/node-store.ts';
import { storeContents } from '../../pkg/state/store-contents.ts';
import type { Report } from './main.ts';
import { formatTable } from './table.ts';

const SHORT_ID = 13;

/** Shows what can be read, and names the rest: exit code 1 then. */
export function statusReport(store: NodeStore): Report {
  const { attachments, interfaces, leases, clusterLeases, broken } = storeContents(store.raw().rows);
  const sections = [
    section(
      'attachments',
      ['POD', 'INTERFACE', 'NETWORK', 'STATE', 'ADDRESSES', 'CONTAINER'],
      [...attachments]
        .sort((a, b) => a.containerId.localeCompare(b.containerId) || a.position - b.position)
        .map((one) => [
          describePod(one.pod, one.containerId.slice(0, SHORT_ID)),
          one.ifname,
          one.network,
          one.state,
          addressesOf(one.result).join(',') || '-',
          one.containerId.slice(0, SHORT_ID),
        ]),
    ),
    section(
      'interfaces',
      ['POD', 'INTERFACE', 'NETWORK', 'PLUGIN', 'STATE', 'DEVICE'],
      interfaces.map((one) => [
        describePod(one.pod, one.containerId.slice(0, SHORT_ID)),
        one.ifname,
        one.network,
        one.plugin,
        one.state,
        one.device ?? '-',
      ]),
    ),
    section(
      'addresses',
      ['ADDRESS', 'NETWORK', 'DOMAIN', 'STORE', 'STATE', 'POD', 'INTERFACE'],
      [
        ...leases.map((one) => addressRow(one, 'node')),
        ...clusterLeases.map((one) => addressRow(one, 'cluster')),
      ],
    ),
    ...(broken.length === 0 ? [] : [unreadable(broken.flatMap(({ problems }) => problems))]),
  ];
  return {
    lines: sections.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])),
    exitCode: broken.length === 0 ? 0 : 1,
  };
}

/** @param store where it is unique */
const addressRow = (lease: LeaseRecord | ClusterLeaseRecord, store: 'node' | 'cluster'): string[] => [
  lease.address,
  lease.network,
  lease.domain || '-',
  store,
  lease.state,
  describePod(lease.pod, lease.containerId.slice(0, SHORT_ID)),
  lease.ifname,
];

const unreadable = (problems: readonly string[]): string[] => [
  ...problems.map((text) => `broken: ${text}`),
  'What is broken may be missing above. "manifold check-state --help" says how it can be removed.',
];

function section(name: string, header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [`No ${name}.`] : formatTable(header, rows);
}

function addressesOf(result: JsonObject | undefined): string[] {
  const ips = Array.isArray(result?.ips) ? result.ips : [];
  return ips.flatMap((ip) =>
    typeof ip === 'object' && ip !== null && 'address' in ip && typeof ip.address === 'string'
      ? [ip.address]
      : [],
  );
}
