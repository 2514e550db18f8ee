// What a record must look like: asked by whoever reads one, since a screwdriver or a defect may have been at the file.
import type { RawRow } from './node-store.ts';

/** One that ends in "?" may be absent. */
type Field =
  | 'string'
  | 'string?'
  | 'number'
  | 'number?'
  | 'object'
  | 'version?'
  | 'writer'
  | readonly string[];

const SHAPES: Readonly<Record<RawRow['table'], Readonly<Record<string, Field>>>> = {
  attachments: {
    containerId: 'string',
    ifname: 'string',
    position: 'number',
    network: 'string',
    pod: 'object',
    netns: 'string',
    config: 'object',
    args: 'object',
    state: ['planned', 'adding', 'added', 'deleting'],
    writer: 'writer',
  },
  interfaces: {
    containerId: 'string',
    ifname: 'string',
    plugin: 'string',
    network: 'string',
    pod: 'object',
    netns: 'string',
    netnsId: 'string',
    state: ['adding', 'added'],
    saved: 'object',
    writer: 'writer',
  },
  leases: {
    domain: 'string',
    address: 'string',
    network: 'string',
    owner: 'string',
    ifname: 'string',
    containerId: 'string',
    pod: 'object',
    netns: 'string',
    state: ['claimed', 'held', 'resting'],
    acquired: 'number',
    released: 'number?',
    reuseDelaySeconds: 'number?',
    stickySeconds: 'number?',
    writer: 'writer',
  },
  cluster_leases: {
    name: 'string',
    cluster: 'string?',
    domain: 'string',
    address: 'string',
    subnet: 'string',
    network: 'string',
    owner: 'string',
    ifname: 'string',
    containerId: 'string',
    pod: 'object',
    netns: 'string',
    state: ['claiming', 'claimed', 'held', 'releasing', 'resting'],
    object: 'version?',
    acquired: 'number',
    released: 'number?',
    until: 'number?',
    reuseDelaySeconds: 'number?',
    stickySeconds: 'number?',
    writer: 'writer',
  },
  /** Any JSON object. */
  copies: {},
};

/** What is wrong with the shape of a parsed record, e.g. "position is no number"; undefined when nothing is. */
export function misshapen(table: RawRow['table'], record: unknown): string | undefined {
  if (!isObject(record)) return 'it is no object';
  for (const [name, field] of Object.entries(SHAPES[table])) {
    const wrong = wrongField(field, record[name]);
    if (wrong !== undefined) return `${name} ${wrong}`;
  }
  return undefined;
}

function wrongField(field: Field, value: unknown): string | undefined {
  if (field === 'string?') return value === undefined ? undefined : wrongField('string', value);
  if (field === 'number?') return value === undefined ? undefined : wrongField('number', value);
  if (field === 'version?')
    return value === undefined ||
      (isObject(value) && typeof value.uid === 'string' && typeof value.resourceVersion === 'string')
      ? undefined
      : 'has no uid and resourceVersion';
  if (field === 'object') return isObject(value) ? undefined : 'is no object';
  if (field === 'writer')
    return isObject(value) &&
      typeof value.pid === 'number' &&
      typeof value.startTime === 'string' &&
      typeof value.bootId === 'string'
      ? undefined
      : 'names no process';
  if (field === 'string' || field === 'number') return typeof value === field ? undefined : `is no ${field}`;
  return field.some((word) => word === value) ? undefined : `is none of ${field.join(', ')}`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
