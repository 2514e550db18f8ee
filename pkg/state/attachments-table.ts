// The attachments of this node: what the meta plugin was asked for and what came out.
import type { AttachmentRecord, NodeStore } from './node-store.ts';
import { recordOf, recordsOf } from './record.ts';
import type { Row, StateFile } from './state-file.ts';

export function attachmentsTable(file: StateFile): NodeStore['attachments'] {
  const records = (rows: Row[]) => recordsOf<AttachmentRecord>(rows, 'attachments', file.path);
  return {
    put(record) {
      file.run(
        `INSERT INTO attachments (container_id, ifname, position, pod_uid, record) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET position = excluded.position, pod_uid = excluded.pod_uid, record = excluded.record`,
        record.containerId,
        record.ifname,
        record.position,
        record.pod.uid ?? null,
        JSON.stringify(record),
      );
    },
    get({ containerId, ifname }) {
      const row = file.get(
        'SELECT * FROM attachments WHERE container_id = ? AND ifname = ?',
        containerId,
        ifname,
      );
      return row === undefined ? undefined : recordOf<AttachmentRecord>(row, 'attachments', file.path);
    },
    ofContainer: (containerId) =>
      records(
        file.all('SELECT * FROM attachments WHERE container_id = ? ORDER BY position, ifname', containerId),
      ),
    ofPod: (podUid) =>
      records(
        file.all(
          'SELECT * FROM attachments WHERE pod_uid = ? ORDER BY container_id, position, ifname',
          podUid,
        ),
      ),
    all: () => records(file.all('SELECT * FROM attachments ORDER BY container_id, position, ifname')),
    remove({ containerId, ifname }) {
      file.run('DELETE FROM attachments WHERE container_id = ? AND ifname = ?', containerId, ifname);
    },
  };
}
