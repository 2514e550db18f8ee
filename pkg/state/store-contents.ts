// The whole store as records, each row judged by itself: what cannot be used is told apart from what can.
import { formatAddress, readAddress } from '../ip/address.ts';
import { cidrContains, formatCidr, readCidr, subnetOf } from '../ip/cidr.ts';
import { addressKey } from './address-key.ts';
import type {
  AttachmentRecord,
  ClusterLeaseRecord,
  InterfaceRecord,
  LeaseRecord,
  RawRow,
} from './node-store.ts';
import { readRecord } from './record.ts';

export interface StoreContents {
  readonly attachments: readonly AttachmentRecord[];
  readonly interfaces: readonly InterfaceRecord[];
  readonly leases: readonly LeaseRecord[];
  readonly clusterLeases: readonly ClusterLeaseRecord[];
  readonly broken: readonly BrokenRow[];
}

/** A row with something wrong in it. Its record is among the others where it has the right shape. */
export interface BrokenRow {
  readonly row: RawRow;
  /** Sentences. */
  readonly problems: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/** @param rows as NodeStore.raw() has them */
export function storeContents(rows: readonly RawRow[]): StoreContents {
  const broken: BrokenRow[] = [];
  const readable = rows.flatMap((row) => {
    const { record, wrong } = readRecord(row.table, row.record);
    const problems = record === undefined ? [`${keyOf(row)} ${wrong}.`] : problemsOf(row, record);
    if (problems.length > 0) broken.push({ row, problems });
    return record === undefined ? [] : [{ table: row.table, record }];
  });
  const of = <T>(table: RawRow['table']) =>
    readable.filter((one) => one.table === table).map((one) => one.record as T);
  return {
    attachments: of('attachments'),
    interfaces: of('interfaces'),
    leases: of('leases'),
    clusterLeases: of('cluster_leases'),
    broken,
  };
}

/** "pod a/p, container c1, net1" */
export function nameOf({
  containerId,
  ifname,
  pod,
}: InterfaceRecord | LeaseRecord | ClusterLeaseRecord | AttachmentRecord): string {
  const name = pod.name === undefined ? '' : `pod ${pod.namespace ?? 'default'}/${pod.name}, `;
  return `${name}container ${containerId}, ${ifname}`;
}

const keyOf = ({ table, columns }: RawRow): string => `The record of ${table} ${JSON.stringify(columns)}`;

function problemsOf(row: RawRow, record: Fields): string[] {
  const columns = Object.entries(columnsOf(row.table, record))
    .filter(([column, expected]) => row.columns[column] !== expected)
    .map(
      ([column, expected]) =>
        `${keyOf(row)} disagrees with its column ${column}: ${JSON.stringify(expected)}.`,
    );
  if (row.table === 'leases') return [...columns, ...leaseProblems(record as unknown as LeaseRecord)];
  if (row.table !== 'cluster_leases') return columns;
  return [...columns, ...clusterLeaseProblems(record as unknown as ClusterLeaseRecord)];
}

/** What the columns must hold for a record. */
function columnsOf(table: RawRow['table'], record: Fields): Fields {
  if (table === 'copies') return {};
  const { containerId, ifname, network, position, owner, domain } = record;
  const podUid = (record.pod as { uid?: string }).uid ?? null;
  const container_id = containerId;
  if (table === 'attachments') return { container_id, ifname, position, pod_uid: podUid };
  if (table === 'interfaces')
    return { container_id, ifname, network, pod_uid: podUid, device: record.device ?? null };
  if (table === 'cluster_leases')
    return { name: record.name, owner, ifname, container_id, state: record.state };
  const address = readAddress(String(record.address));
  return {
    domain,
    owner,
    ifname,
    container_id,
    released: record.state === 'resting' ? (record.released ?? 0) : null,
    key: address === undefined ? null : addressKey(address),
  };
}

function* leaseProblems(lease: LeaseRecord): Generator<string> {
  const name = `Lease ${lease.address} of ${nameOf(lease)}`;
  const address = readAddress(lease.address);
  if (address === undefined || formatAddress(address) !== lease.address)
    yield `${name} is not under the canonical text of an address.`;
  yield* timeProblem(name, lease.state, 'release', lease.released, ['resting']);
}

function* clusterLeaseProblems(lease: ClusterLeaseRecord): Generator<string> {
  const name = `Cluster lease ${lease.address} of ${nameOf(lease)}`;
  const address = readAddress(lease.address);
  if (address === undefined || formatAddress(address) !== lease.address)
    yield `${name} is not under the canonical text of an address.`;
  const subnet = readCidr(lease.subnet);
  if (subnet === undefined || formatCidr(subnetOf(subnet)) !== lease.subnet)
    yield `${name} names no subnet in canonical text: ${lease.subnet}.`;
  else if (address !== undefined && !cidrContains(subnet, address))
    yield `${name} does not lie in its subnet ${lease.subnet}.`;
  yield* timeProblem(name, lease.state, 'release', lease.released, ['releasing', 'resting']);
  yield* timeProblem(name, lease.state, 'end', lease.until, ['resting']);
}

function* timeProblem(
  name: string,
  state: string,
  of: 'release' | 'end',
  time: number | undefined,
  having: readonly string[],
): Generator<string> {
  if (having.includes(state) !== (time !== undefined))
    yield `${name} is ${state} and ${time === undefined ? 'has no' : 'has a'} time of ${of}.`;
}
