// Keys of a configuration that no schema knows but that look like one it knows. The schema itself is walked.
import type { JsonObject, JsonValue } from './plugin.ts';
import { entriesOf, isJsonList, itemOf } from './schema-shape.ts';

/** A key that is probably meant to be another. */
export interface Misspelling {
  /** Path of the key as it was written: "ipam.rangeStrat". */
  readonly key: string;
  readonly meant: string;
}

// What the specification or its conventions give a meaning to, whether or not the plugin's schema does.
const WELL_KNOWN: readonly string[] = [
  'cniVersion',
  'cniVersions',
  'name',
  'type',
  'args',
  'runtimeConfig',
  'capabilities',
  'prevResult',
  'ipam',
  'dns',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
  'plugins',
];

/** Looks at every level whose keys the (valibot) schema knows. */
export function findMisspelt(schema: unknown, raw: JsonObject): Misspelling[] {
  const found: Misspelling[] = [];
  visit(schema, raw, '', found);
  return found;
}

function visit(schema: unknown, value: JsonValue | undefined, path: string, found: Misspelling[]): void {
  if (isJsonList(value)) {
    const item = itemOf(schema);
    if (item === undefined) return;
    for (const [index, one] of value.entries()) visit(item, one, `${path}[${index}]`, found);
    return;
  }
  if (typeof value !== 'object' || value === null || isJsonList(value)) return;
  const entries = entriesOf(schema);
  if (entries.size === 0) return;
  const top = path === '';
  const known = top ? [...new Set([...WELL_KNOWN, ...entries.keys()])] : [...entries.keys()];
  for (const [key, inner] of Object.entries(value)) {
    const at = top ? key : `${path}.${key}`;
    if (known.includes(key)) {
      for (const one of entries.get(key) ?? []) visit(one, inner, at, found);
      continue;
    }
    // Keys with a domain in them belong to others: "cni.dev/valid-attachments".
    const meant = /[./]/.test(key) ? undefined : nearest(key, known);
    if (meant !== undefined) found.push({ key: at, meant });
  }
}

function nearest(key: string, known: readonly string[]): string | undefined {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[_-]/g, '');
  const mine = plain(key);
  const same = known.find((name) => plain(name) === mine);
  if (same !== undefined || mine.length < 3) return same;
  const allowed = mine.length < 6 ? 1 : 2;
  return known.find((name) => name.length > 2 && distance(mine, plain(name), allowed) <= allowed);
}

/** Edits between two words: a letter more, less, other, or two neighbours swapped. Anything above `limit` is equal. */
function distance(a: string, b: string, limit: number): number {
  const longer = Math.abs(a.length - b.length);
  // "deviceID" is no slip of the pen for "device".
  if (longer > limit || (longer > 1 && (a.startsWith(b) || b.startsWith(a)))) return limit + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const other = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const ways = [(last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + other];
      row.push(Math.min(...ways, swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY));
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
