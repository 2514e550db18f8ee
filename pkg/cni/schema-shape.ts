// What a valibot schema knows of keys and items: the schema is walked beside the value.
import type { JsonValue } from './plugin.ts';

/** Valibot's schemas are records: what they wrap stands under these names. */
interface SchemaShape {
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly wrapped?: unknown;
  readonly options?: readonly unknown[];
  readonly item?: unknown;
}

function shapeOf(schema: unknown): SchemaShape {
  return typeof schema === 'object' && schema !== null ? schema : {};
}

/** The keys of an object schema with the schemas of each: several where alternatives have a key in common. */
export function entriesOf(schema: unknown): Map<string, unknown[]> {
  const { entries, wrapped, options } = shapeOf(schema);
  if (wrapped !== undefined) return entriesOf(wrapped);
  const all = new Map<string, unknown[]>();
  for (const [key, inner] of Object.entries(entries ?? {})) all.set(key, [inner]);
  for (const option of options ?? []) {
    for (const [key, inner] of entriesOf(option)) all.set(key, [...(all.get(key) ?? []), ...inner]);
  }
  return all;
}

/** The schema of the items of a list; undefined when it is no list. */
export function itemOf(schema: unknown): unknown {
  const { wrapped, item, options } = shapeOf(schema);
  if (wrapped !== undefined) return itemOf(wrapped);
  return item ?? options?.map(itemOf).find((one) => one !== undefined);
}

/** Paths of lists that stand where the schema has an object: valibot takes a list for an object without keys. */
export function listsForObjects(
  schema: unknown,
  value: unknown,
  path = '',
): { key: string; value: unknown }[] {
  if (Array.isArray(value)) {
    const item = itemOf(schema);
    if (item === undefined) return isObjectSchema(schema) ? [{ key: path, value }] : [];
    return value.flatMap((one: unknown, index) => listsForObjects(item, one, `${path}[${index}]`));
  }
  if (typeof value !== 'object' || value === null) return [];
  const known = entriesOf(schema);
  return Object.entries(value).flatMap(([key, inner]) => {
    const [first, ...others] = known.get(key) ?? [];
    // Where alternatives differ about a key, valibot's own choice among them stands.
    if (first === undefined || others.length > 0) return [];
    return listsForObjects(first, inner, path === '' ? key : `${path}.${key}`);
  });
}

function isObjectSchema(schema: unknown): boolean {
  const { entries, wrapped } = shapeOf(schema);
  return wrapped === undefined ? entries !== undefined : isObjectSchema(wrapped);
}

export function isJsonList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
