import { expect, test } from 'vitest';
import { isRepresentorName, mainNetdev, type Netdev, portOf } from './netdev.ts';

const netdev = (name: string, physPortName?: string, devPort = 0): Netdev => ({
  name,
  physPortName,
  devPort,
  macFrom: undefined,
  speedMbps: undefined,
});

test.each<[string | undefined, boolean]>([
  [undefined, false],
  ['p0', false],
  ['p1s2', false],
  ['pf0vf3', true],
  ['c1pf0vf3', true],
  ['pf1sf88', true],
  ['pf0hpf', true],
  ['pf0', true],
  ['3', true],
  ['vf3', true],
])('an interface with the port name %s stands for another: %s', (name, isOne) => {
  expect(isRepresentorName(name)).toBe(isOne);
});

test('the main interface is no representor, and the first port of several', () => {
  const uplink = netdev('z', 'p0');
  expect(mainNetdev([netdev('a', 'pf0vf0'), netdev('b', 'pf0vf1'), uplink])).toBe(uplink);
  const first = netdev('y');
  expect(mainNetdev([netdev('x', undefined, 1), first])).toBe(first);
  expect(mainNetdev([netdev('a', 'pf0vf0')])).toBeUndefined();
  expect(mainNetdev([])).toBeUndefined();
});

test('interfaces of one function are told apart', () => {
  const all = [netdev('a'), netdev('b', undefined, 1), netdev('c', 'pf0vf0'), netdev('d', 'pf0vf1')];
  expect(all.map(portOf)).toEqual(['', 'port1', 'pf0vf0', 'pf0vf1']);
});
