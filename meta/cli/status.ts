// `manifold status`: what this node has attached, from its state, for people.
import { describePod } from '../../pkg/attach/deps.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import type { Report } from './main.ts';
import { formatTable } from './table.ts';

const SHORT_ID = 13;

export function statusReport(store: NodeStore): Report {
  const attachments = store.attachments.all();
  const interfaces = store.interfaces.all();
  const leases = store.leases.all();
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
      ['ADDRESS', 'NETWORK', 'DOMAIN', 'STATE', 'POD', 'INTERFACE'],
      leases.map((one) => [
        one.address,
        one.network,
        one.domain || '-',
        one.state,
        describePod(one.pod, one.containerId.slice(0, SHORT_ID)),
        one.ifname,
      ]),
    ),
  ];
  return { lines: sections.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])), exitCode: 0 };
}

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
