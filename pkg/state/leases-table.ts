// The addresses of this node and who has them.
import { formatAddress, parseAddress } from '../ip/address.ts';
import type { AddressRange } from '../ip/range.ts';
import { addressKey, keyOfText } from './address-key.ts';
import type { LeaseRecord, NodeStore } from './node-store.ts';
import { recordOf, recordsOf } from './record.ts';
import type { Row, StateFile } from './state-file.ts';

export function leasesTable(file: StateFile): NodeStore['leases'] {
  const record = (row: Row | undefined) =>
    row === undefined ? undefined : recordOf<LeaseRecord>(row, 'leases', file.path);
  const records = (rows: Row[]) => recordsOf<LeaseRecord>(rows, 'leases', file.path);
  return {
    put(lease) {
      const address = parseAddress(lease.address);
      file.run(
        `INSERT INTO leases (domain, key, owner, ifname, container_id, released, record) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (domain, key) DO UPDATE SET owner = excluded.owner, ifname = excluded.ifname,
           container_id = excluded.container_id, released = excluded.released, record = excluded.record`,
        lease.domain,
        addressKey(address),
        lease.owner,
        lease.ifname,
        lease.containerId,
        lease.state === 'resting' ? (lease.released ?? 0) : null,
        JSON.stringify({ ...lease, address: formatAddress(address) }),
      );
    },
    get: (domain, address) =>
      record(file.get('SELECT * FROM leases WHERE domain = ? AND key = ?', domain, keyOfText(address))),
    ofOwner: (owner, ifname) =>
      records(
        file.all('SELECT * FROM leases WHERE owner = ? AND ifname = ? ORDER BY domain, key', owner, ifname),
      ),
    ofContainer: (containerId) =>
      records(file.all('SELECT * FROM leases WHERE container_id = ? ORDER BY domain, key', containerId)),
    inRange: (domain, first, last) =>
      records(
        file.all(
          'SELECT * FROM leases WHERE domain = ? AND key BETWEEN ? AND ? ORDER BY key',
          domain,
          keyOfText(first),
          keyOfText(last),
        ),
      ),
    count(domain, range) {
      const row = file.get(
        'SELECT count(*) AS n FROM leases WHERE domain = ? AND key BETWEEN ? AND ?',
        domain,
        ...endsOf(range),
      );
      return Number(row?.n);
    },
    *resting(domain, range) {
      // INDEXED BY: by release time, until one lies in the range; the other way reads the whole range.
      const rows = file.each(
        `SELECT * FROM leases INDEXED BY leases_resting
         WHERE domain = ? AND released IS NOT NULL AND key BETWEEN ? AND ? ORDER BY released, key`,
        domain,
        ...endsOf(range),
      );
      for (const row of rows) yield recordOf<LeaseRecord>(row, 'leases', file.path);
    },
    all: () => records(file.all('SELECT * FROM leases ORDER BY domain, key')),
    remove(domain, address) {
      file.run('DELETE FROM leases WHERE domain = ? AND key = ?', domain, keyOfText(address));
    },
  };
}

const endsOf = ({ family, first, last }: AddressRange): [string, string] => [
  addressKey({ family, value: first }),
  addressKey({ family, value: last }),
];
