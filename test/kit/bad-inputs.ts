// Bad calls of a CNI plugin by the thousand: one good call with one thing wrong, and the name of that thing.
import fc from 'fast-check';
import type { JsonObject } from '../../pkg/cni/plugin.ts';

/** A call that the plugin accepts: what the bad ones are made from. */
export interface GoodCall {
  readonly env: Readonly<Record<string, string>>;
  readonly config: JsonObject;
  /**
   * Values that the plugin's own keys must refuse, by path: { mtu: ['big', -1], 'ipam.range': ['x'] }.
   * The path must exist in the configuration, but for its last key.
   */
  readonly refused?: Readonly<Record<string, readonly unknown[]>>;
}

export interface BadCall {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** One of these must stand in the message or the details of the error. */
  readonly culprits: readonly string[];
  /** The codes of the CNI specification that the error may have. */
  readonly codes: readonly number[];
}

const VERSION_CODES = [1, 6];

/** Every kind of bad call is equally likely. The same seed gives the same calls. */
export function badCalls(good: GoodCall): fc.Arbitrary<BadCall> {
  return fc.oneof(...environments(good), ...texts(good), ...configurations(good), ...refusedValues(good));
}

function environments(good: GoodCall): fc.Arbitrary<BadCall>[] {
  const stdin = JSON.stringify(good.config);
  const withVariable = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<BadCall> =>
    value.map((text) => ({ env: { ...good.env, [name]: text }, stdin, culprits: [name], codes: [4] }));
  const required = ['CNI_COMMAND', 'CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'];
  const missing = fc.subarray(required.slice(1), { minLength: 1 }).chain((names) =>
    fc.constantFrom('', undefined).map((value): BadCall => {
      const kept = Object.entries(good.env).filter(([name]) => !names.includes(name));
      const emptied = value === undefined ? [] : names.map((name) => [name, value]);
      return { env: Object.fromEntries([...kept, ...emptied]), stdin, culprits: names, codes: [4] };
    }),
  );
  return [
    missing,
    withVariable(
      'CNI_COMMAND',
      bytes(1, 20).filter((text) => !VERBS.includes(text)),
    ),
    withVariable(
      'CNI_CONTAINERID',
      bytes(1, 80).filter((text) => !/^[A-Za-z0-9][\w.-]*$/.test(text)),
    ),
    withVariable('CNI_IFNAME', fc.stringMatching(/^[a-z]{16,64}$/)),
    withVariable('CNI_IFNAME', fc.stringMatching(/^[a-z]{0,6}[/: \t\n%][a-z]{0,6}$/)),
    withVariable('CNI_IFNAME', fc.constantFrom('.', '..')),
    withVariable('CNI_ARGS', fc.stringMatching(/^([A-Z]{1,5}=[a-z=]{0,5};){0,3}[A-Z]{1,8}$/)),
    withVariable('CNI_ARGS', fc.stringMatching(/^([A-Z]{1,5}=[a-z]{0,5};){0,3}=[A-Z]{0,8}$/)),
  ];
}

const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'];

function texts(good: GoodCall): fc.Arbitrary<BadCall>[] {
  const text = JSON.stringify(good.config);
  const call = (stdin: string): BadCall => ({ env: good.env, stdin, culprits: ['stdin'], codes: [6] });
  const isObject = (stdin: string): boolean => {
    try {
      const value: unknown = JSON.parse(stdin);
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    } catch {
      return false; // no JSON at all
    }
  };
  const damaged = fc
    .tuple(fc.nat(text.length - 1), fc.constantFrom('"', '{', '}', '[', ',', '\\', '\0', 'x', ''))
    .map(([at, char]) => `${text.slice(0, at)}${char}${text.slice(at + 1)}`);
  return [
    fc.nat(text.length - 1).map((length) => call(text.slice(0, length))),
    damaged.filter((stdin) => !isObject(stdin)).map(call),
    bytes(0, 200)
      .filter((stdin) => !isObject(stdin))
      .map(call),
    fc
      .jsonValue()
      .filter((value) => !isObject(JSON.stringify(value)))
      .map((value) => call(JSON.stringify(value))),
    fc
      .integer({ min: 101, max: 5000 })
      .map((depth) => call(`{"x":${'['.repeat(depth)}${']'.repeat(depth)}}`)),
  ];
}

function configurations(good: GoodCall): fc.Arbitrary<BadCall>[] {
  const withKey = (
    key: string,
    value: fc.Arbitrary<unknown>,
    codes: readonly number[],
  ): fc.Arbitrary<BadCall> =>
    value.map((bad) => {
      const stdin = JSON.stringify({ ...good.config, [key]: bad });
      return { env: good.env, stdin, culprits: [key], codes };
    });
  const noString = fc.jsonValue().filter((value) => typeof value !== 'string');
  const noList = fc.jsonValue().filter((value) => !Array.isArray(value) && value !== null);
  const badCidr = fc
    .stringMatching(/^[a-z0-9./]{0,20}$/)
    .filter((text) => !/^\d+\.\d+\.\d+\.\d+\/\d+$/.test(text));
  const prevResult = fc.oneof(
    badCidr.map((address) => ({ ips: [{ address }] })),
    noList.map((ips) => ({ ips })),
    noList.map((interfaces) => ({ interfaces })),
    noString.filter((name) => name !== undefined).map((name) => ({ interfaces: [{ name }] })),
    badCidr.map((dst) => ({ routes: [{ dst }] })),
    bytes(1, 10)
      .filter((text) => !/^[01]\.\d\.\d$/.test(text))
      .map((cniVersion) => ({ cniVersion })),
    fc.jsonValue().filter((value) => typeof value !== 'object' || Array.isArray(value)),
  );
  return [
    withKey('name', noString, [7]),
    withKey(
      'name',
      bytes(0, 30).filter((text) => !/^[A-Za-z0-9][\w.-]*$/.test(text)),
      [7],
    ),
    withKey(
      'cniVersion',
      noString.filter((value) => value !== undefined),
      VERSION_CODES,
    ),
    withKey('cniVersion', fc.stringMatching(/^([2-9]|1[0-9])\.[0-9]{1,2}\.[0-9]$/), VERSION_CODES),
    withKey(
      'cniVersion',
      bytes(1, 10).filter((text) => !/^[01]\.\d\.\d$/.test(text)),
      VERSION_CODES,
    ),
    withKey('prevResult', prevResult, [7]),
    withKey(
      'manifold',
      fc.constantFrom<unknown>(1, 'x', [], { stateDir: 'here' }, { logLevel: 'loud' }),
      [7],
    ),
  ];
}

function refusedValues(good: GoodCall): fc.Arbitrary<BadCall>[] {
  const all = Object.entries(good.refused ?? {}).flatMap(([path, values]) =>
    values.map((value): BadCall => {
      const config = withValue(good.config, path.split('.'), value);
      return { env: good.env, stdin: JSON.stringify(config), culprits: [path], codes: [2, 7] };
    }),
  );
  return all.length === 0 ? [] : [fc.constantFrom(...all)];
}

function withValue(object: JsonObject, [key = '', ...rest]: readonly string[], value: unknown): JsonObject {
  const inner = rest.length === 0 ? value : withValue((object[key] ?? {}) as JsonObject, rest, value);
  return { ...object, [key]: inner } as JsonObject;
}

/** Text of any characters that may stand in an environment variable. */
function bytes(minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'grapheme', minLength, maxLength })
    .filter((text) => !text.includes('\0') && text.length >= minLength);
}
