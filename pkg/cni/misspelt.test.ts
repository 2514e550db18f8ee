import {
  array,
  literal,
  looseObject,
  object,
  optional,
  pipe,
  string,
  transform,
  union,
  variant,
} from 'valibot';
import { describe, expect, test } from 'vitest';
import { findMisspelt } from './misspelt.ts';
import type { JsonObject } from './plugin.ts';

const schema = pipe(
  object({
    master: optional(string()),
    mtu: optional(string()),
    linkInContainer: optional(string()),
    ipam: optional(
      looseObject({
        range_start: optional(string()),
        ranges: optional(array(array(object({ subnet: string(), rangeStart: optional(string()) })))),
      }),
    ),
    device: optional(union([string(), object({ pciBusID: string() })])),
    kind: optional(
      variant('is', [
        object({ is: literal('a'), alpha: string() }),
        object({ is: literal('b'), beta: string() }),
      ]),
    ),
  }),
  transform((config) => config),
);

describe('a key that nobody knows', () => {
  test.each([
    [{ mut: 1 }, 'mut', 'mtu'],
    [{ MTU: 1 }, 'MTU', 'mtu'],
    [{ mater: 1 }, 'mater', 'master'],
    [{ link_in_container: 1 }, 'link_in_container', 'linkInContainer'],
    [{ linkInContianer: 1 }, 'linkInContianer', 'linkInContainer'],
    [{ cniVerson: 1 }, 'cniVerson', 'cniVersion'],
    [{ ipma: {} }, 'ipma', 'ipam'],
    [{ ipam: { rangeStart: 1 } }, 'ipam.rangeStart', 'range_start'],
    [{ ipam: { ranges: [[{ subnet: '' }, { sbunet: '' }]] } }, 'ipam.ranges[0][1].sbunet', 'subnet'],
    [{ device: { pcibusid: '' } }, 'device.pcibusid', 'pciBusID'],
    [{ kind: { is: 'b', betta: '' } }, 'kind.betta', 'beta'],
  ])('%j is taken for a misspelling of %s', (raw, key, meant) => {
    expect(findMisspelt(schema, raw)).toEqual([{ key, meant }]);
  });

  test.each([
    [{ vlan: 1, color: 'x', a: 1 }],
    [
      {
        cniVersion: '1.1.0',
        name: 'n',
        type: 't',
        args: {},
        runtimeConfig: {},
        disableGC: true,
        plugins: [],
      },
    ],
    [{ 'cni.dev/valid-attachments': [], 'mtu.': 1, 'mt/u': 1 }],
    [{ ipam: { type: 'x', anything: 1 } }],
    [{ master: 'mtu', ipam: 'range_strat' }],
    [{ args: { mut: 1 } }],
    [{ deviceID: '0000:3b:00.2' }],
  ])('%j has no misspelling', (raw) => {
    expect(findMisspelt(schema, raw)).toEqual([]);
  });
});

describe('a configuration with more unknown keys than anybody writes', () => {
  const manyKeys = (count: number, name: (index: number) => string) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [name(index), 1]));
  const compared = (raw: JsonObject): number => {
    let count = 0;
    findMisspelt(schema, raw, (a, b) => {
      expect(Math.abs(a.length - b.length)).toBeLessThanOrEqual(2);
      count += 1;
      return 99;
    });
    return count;
  };

  test('costs no more comparisons than one of a hundred', () => {
    const name = (index: number) => `unknown${index}`;
    const bound = compared(manyKeys(100, name));
    expect(bound).toBeGreaterThan(0);
    expect(compared(manyKeys(60_000, name))).toBe(bound);
    expect(compared({ ipam: manyKeys(60_000, name) })).toBeLessThanOrEqual(bound);
    const subnets = Array.from({ length: 1000 }, () => manyKeys(60, name));
    expect(compared({ ipam: { ranges: [subnets] } })).toBeLessThanOrEqual(bound);
  });

  test('has at most ten of them named', () => {
    const ranges = [Array.from({ length: 50 }, () => ({ sbunet: '' }))];
    const found = findMisspelt(schema, { ipam: { ranges } });
    expect(found).toHaveLength(10);
    expect(found[9]).toEqual({ key: 'ipam.ranges[0][9].sbunet', meant: 'subnet' });
  });

  test('of which the very long are not compared with anything', () => {
    const long = object({ [`${'k'.repeat(64)}x`]: optional(string()) });
    expect(findMisspelt(long, { [`${'k'.repeat(64)}y`]: 1 })).toEqual([]);
    expect(findMisspelt(long, { ['k'.repeat(64)]: 1 })).toHaveLength(1);
  });
});
