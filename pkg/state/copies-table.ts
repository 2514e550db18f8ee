// What was last read of the cluster's objects.
import type { JsonObject } from '../cni/plugin.ts';
import type { NodeStore } from './node-store.ts';
import { readRecord } from './record.ts';
import type { StateFile } from './state-file.ts';

export function copiesTable(file: StateFile): NodeStore['copies'] {
  return {
    put(name, value) {
      file.run(
        'INSERT INTO copies (name, record) VALUES (?, ?) ON CONFLICT DO UPDATE SET record = excluded.record',
        name,
        JSON.stringify(value),
      );
    },
    get(name) {
      const row = file.get('SELECT record FROM copies WHERE name = ?', name);
      return row === undefined ? undefined : (readRecord('copies', String(row.record)).record as JsonObject);
    },
  };
}
