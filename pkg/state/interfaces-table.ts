// The interfaces that our plugins made or moved, and who holds which device.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { InterfaceRecord, NodeStore } from './node-store.ts';
import { recordOf, recordsOf } from './record.ts';
import type { Row, StateFile } from './state-file.ts';

export function interfacesTable(file: StateFile): NodeStore['interfaces'] {
  const record = (row: Row | undefined) =>
    row === undefined ? undefined : recordOf<InterfaceRecord>(row, file.path);
  const records = (rows: Row[]) => recordsOf<InterfaceRecord>(rows, file.path);
  const byDevice = (device: string) => record(file.get('SELECT * FROM interfaces WHERE device = ?', device));

  return {
    put(wanted) {
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
    },
    get: ({ containerId, ifname, network }) =>
      record(
        file.get(
          'SELECT * FROM interfaces WHERE container_id = ? AND ifname = ? AND network = ?',
          containerId,
          ifname,
          network,
        ),
      ),
    byDevice,
    ofPod: (podUid) =>
      records(
        file.all('SELECT * FROM interfaces WHERE pod_uid = ? ORDER BY container_id, ifname, network', podUid),
      ),
    all: () => records(file.all('SELECT * FROM interfaces ORDER BY container_id, ifname, network')),
    remove({ containerId, ifname, network }) {
      file.run(
        'DELETE FROM interfaces WHERE container_id = ? AND ifname = ? AND network = ?',
        containerId,
        ifname,
        network,
      );
    },
  };
}

const sameKey = (a: InterfaceRecord, b: InterfaceRecord): boolean =>
  a.containerId === b.containerId && a.ifname === b.ifname && a.network === b.network;

function deviceHeld(wanted: InterfaceRecord, holder: InterfaceRecord): ManifoldError {
  const { namespace, name, uid } = holder.pod;
  const pod = name === undefined ? (uid ?? 'no pod known') : `pod ${namespace ?? 'default'}/${name}`;
  return new ManifoldError(
    'device-held',
    `Cannot give device to ${wanted.containerId} ${wanted.ifname}: ${pod}, container ${holder.containerId} has it as ${holder.ifname} on network ${holder.network} (${wanted.device})`,
    { hint: 'It comes free with the DEL of that container, or with a GC when the container is gone.' },
  );
}
