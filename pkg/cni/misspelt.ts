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

// A configuration may have any number of keys: what is looked for in one call is bounded.
const MAX_UNKNOWN = 100;
const MAX_FOUND = 10;
const MAX_LENGTH = 64;

interface Search {
  readonly found: Misspelling[];
  /** Unknown keys that may still be compared. */
  left: number;
  readonly distance: typeof editDistance;
}

/**
 * Looks at every level whose keys the (valibot) schema knows: at the first 100 unknown keys, for the first 10 misspelt.
 * @param distance edits between two words
 */
export function findMisspelt(schema: unknown, raw: JsonObject, distance = editDistance): Misspelling[] {
  const search: Search = { found: [], left: MAX_UNKNOWN, distance };
  visit(schema, raw, '', search);
  return search.found;
}

function visit(schema: unknown, value: JsonValue | undefined, path: string, search: Search): void {
  if (search.left === 0 || search.found.length === MAX_FOUND) return;
  if (isJsonList(value)) {
    const item = itemOf(schema);
    if (item === undefined) return;
    for (const [index, one] of value.entries()) visit(item, one, `${path}[${index}]`, search);
    return;
  }
  if (typeof value !== 'object' || value === null || isJsonList(value)) return;
  const entries = entriesOf(schema);
  if (entries.size === 0) return;
  const top = path === '';
  const known = new Set([...(top ? WELL_KNOWN : []), ...entries.keys()]);
  for (const [key, inner] of Object.entries(value)) {
    if (search.left === 0 || search.found.length === MAX_FOUND) return;
    const at = top ? key : `${path}.${key}`;
    if (known.has(key)) {
      for (const one of entries.get(key) ?? []) visit(one, inner, at, search);
      continue;
    }
    search.left -= 1;
    // Keys with a domain in them belong to others: "cni.dev/valid-attachments".
    if (key.length > MAX_LENGTH || /[./]/.test(key)) continue;
    const meant = nearest(key, [...known], search.distance);
    if (meant !== undefined) search.found.push({ key: at, meant });
  }
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '');

function nearest(key: string, known: readonly string[], distance: typeof editDistance): string | undefined {
  const mine = plain(key);
  const same = known.find((name) => plain(name) === mine);
  if (same !== undefined || mine.length < 3) return same;
  const allowed = mine.length < 6 ? 1 : 2;
  return known.find((name) => {
    const other = plain(name);
    const longer = Math.abs(mine.length - other.length);
    if (name.length < 3 || longer > allowed) return false;
    // "deviceID" is no slip of the pen for "device".
    if (longer > 1 && (mine.startsWith(other) || other.startsWith(mine))) return false;
    return distance(mine, other) <= allowed;
  });
}

/** Edits between two words: a letter more, less, other, or two neighbours swapped. */
function editDistance(a: string, b: string): number {
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
