// The interfaces that our plugins made or moved, and who holds which device.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { InterfaceRecord, NodeStore, Writer } from './node-store.ts';
import { recordOf, recordsOf } from './record.ts';
import type { Row, StateFile } from './state-file.ts';
import { isSameWriter } from './writer.ts';

type Table = NodeStore['interfaces'];

export function interfacesTable(file: StateFile, isAlive: (writer: Writer) => boolean): Table {
  const record = (row: Row | undefined) =>
    row === undefined ? undefined : recordOf<InterfaceRecord>(row, 'interfaces', file.path);
  const records = (rows: Row[]) => recordsOf<InterfaceRecord>(rows, 'interfaces', file.path);
  const byDevice = (device: string) => record(file.get('SELECT * FROM interfaces WHERE device = ?', device));
  const get: Table['get'] = ({ containerId, ifname, network }) =>
    record(
      file.get(
        'SELECT * FROM interfaces WHERE container_id = ? AND ifname = ? AND network = ?',
        containerId,
        ifname,
        network,
      ),
    );
  const put: Table['put'] = (wanted) =>
    file.transaction(() => {
      const holder = wanted.device === undefined ? undefined : byDevice(wanted.device);
      if (holder !== undefined && !sameKey(holder, wanted)) throw deviceHeld(wanted, holder);
      file.run(
        `INSERT INTO interfaces (container_id, ifname, network, pod_uid, device, record) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (container_id, ifname, network)
         DO UPDATE SET pod_uid = excluded.pod_uid, device = excluded.device, record = excluded.record`,
        wanted.containerId,
        wanted.ifname,
        wanted.network,
        wanted.pod.uid ?? null,
        wanted.device ?? null,
        JSON.stringify(wanted),
      );
    });
  const remove: Table['remove'] = ({ containerId, ifname, network }) =>
    file.run(
      'DELETE FROM interfaces WHERE container_id = ? AND ifname = ? AND network = ?',
      containerId,
      ifname,
      network,
    );
  const isOwn = (wanted: InterfaceRecord): boolean => {
    const there = get(wanted);
    return there !== undefined && isSameWriter(there.writer, wanted.writer);
  };

  return {
    put,
    claim: (wanted) =>
      file.transaction(() => {
        const there = get(wanted);
        if (there !== undefined && !isSameWriter(there.writer, wanted.writer) && isAlive(there.writer))
          throw underWay(wanted, there);
        put(wanted);
      }),
    finish: (wanted) =>
      file.transaction(() => {
        if (!isOwn(wanted)) throw takenAway(wanted);
        put(wanted);
      }),
    get,
    byDevice,
    ofPod: (podUid) =>
      records(
        file.all('SELECT * FROM interfaces WHERE pod_uid = ? ORDER BY container_id, ifname, network', podUid),
      ),
    all: () => records(file.all('SELECT * FROM interfaces ORDER BY container_id, ifname, network')),
    remove,
    removeOwn: (wanted) =>
      file.transaction(() => {
        if (isOwn(wanted)) remove(wanted);
      }),
  };
}

const sameKey = (a: InterfaceRecord, b: InterfaceRecord): boolean =>
  a.containerId === b.containerId && a.ifname === b.ifname && a.network === b.network;

function deviceHeld(wanted: InterfaceRecord, holder: InterfaceRecord): ManifoldError {
  const container = holder.pod.name === undefined ? '' : ` (container ${holder.containerId})`;
  return new ManifoldError(
    'device-held',
    `Cannot give device ${wanted.device} to ${ownerOf(wanted)} (${wanted.ifname}): ${ownerOf(holder)} has it as ${holder.ifname}${container}`,
    { hint: 'It comes free with the DEL of that container, or with a GC when the container is gone.' },
  );
}

function underWay(wanted: InterfaceRecord, { writer }: InterfaceRecord): ManifoldError {
  return new ManifoldError(
    'try-later',
    `Cannot attach ${wanted.ifname} to ${ownerOf(wanted)}: process ${writer.pid} is at it right now (${placeOf(wanted)})`,
    { hint: 'Retry: the runtime called ADD twice for one attachment.' },
  );
}

function takenAway(wanted: InterfaceRecord): ManifoldError {
  return new ManifoldError(
    'try-later',
    `Cannot finish ${wanted.ifname} of ${ownerOf(wanted)}: its record was taken away meanwhile (${placeOf(wanted)})`,
    { hint: 'A DEL or another ADD of this attachment came in between. Retry if the pod still needs it.' },
  );
}

const ownerOf = ({ pod: { namespace, name }, containerId }: InterfaceRecord): string =>
  name === undefined ? `container ${containerId}` : `pod ${namespace ?? 'default'}/${name}`;

const placeOf = ({ containerId, network }: InterfaceRecord): string =>
  `container ${containerId}, network ${network}`;
