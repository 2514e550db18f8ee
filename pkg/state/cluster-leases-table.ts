// This node's copies of the cluster's leases.
import type { ClusterLeaseRecord, NodeStore } from './node-store.ts';
import { recordOf, recordsOf } from './record.ts';
import type { Row, StateFile } from './state-file.ts';

export function clusterLeasesTable(file: StateFile): NodeStore['clusterLeases'] {
  const records = (rows: Row[]) => recordsOf<ClusterLeaseRecord>(rows, 'cluster_leases', file.path);
  const get = (name: string) => {
    const row = file.get('SELECT * FROM cluster_leases WHERE name = ?', name);
    return row === undefined ? undefined : recordOf<ClusterLeaseRecord>(row, 'cluster_leases', file.path);
  };
  const put = (record: ClusterLeaseRecord) =>
    file.run(
      `INSERT INTO cluster_leases (name, owner, ifname, container_id, state, record) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET owner = excluded.owner, ifname = excluded.ifname,
         container_id = excluded.container_id, state = excluded.state, record = excluded.record`,
      record.name,
      record.owner,
      record.ifname,
      record.containerId,
      record.state,
      JSON.stringify(record),
    );
  return {
    claim: (record) =>
      file.transaction(() => {
        const there = get(record.name);
        if (there !== undefined && !(isOfOneOwner(there, record) && there.network === record.network))
          return false;
        put(record);
        return true;
      }),
    update(record) {
      file.transaction(() => {
        const there = get(record.name);
        if (there !== undefined && isOfOneOwner(there, record)) put(record);
      });
    },
    get,
    ofOwner: (owner, ifname) =>
      records(
        file.all('SELECT * FROM cluster_leases WHERE owner = ? AND ifname = ? ORDER BY name', owner, ifname),
      ),
    ofContainer: (containerId) =>
      records(file.all('SELECT * FROM cluster_leases WHERE container_id = ? ORDER BY name', containerId)),
    inState: (...states) =>
      records(
        file.all(
          `SELECT * FROM cluster_leases WHERE state IN (${states.map(() => '?').join()}) ORDER BY name`,
          ...states,
        ),
      ),
    all: () => records(file.all('SELECT * FROM cluster_leases ORDER BY name')),
    remove({ name, owner, ifname }) {
      file.run('DELETE FROM cluster_leases WHERE name = ? AND owner = ? AND ifname = ?', name, owner, ifname);
    },
  };
}

type Owned = Pick<ClusterLeaseRecord, 'owner' | 'ifname'>;

const isOfOneOwner = (a: Owned, b: Owned): boolean => a.owner === b.owner && a.ifname === b.ifname;
