import { expect, test } from 'vitest';
import { echoPlugin } from '../../test/kit/echo-plugin.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import { parseConfig, parseConfigForDel } from './parse-config.ts';

const raw = {
  cniVersion: '1.1.0',
  name: 'n',
  type: 'echo',
  mtu: 'big',
  mode: 'x',
  manifold: { stateDir: '/s' },
};

test('every bad key is named in one error', () => {
  expect(() => parseConfig(echoPlugin, raw)).toThrow(/'mtu' as it must be an integer/);
  expect(() => parseConfig(echoPlugin, raw)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining("'mode'") }),
  );
});

test('DEL takes a wrong configuration, keeps where the state is, and says what was wrong', () => {
  const refusals: string[] = [];
  const { config, options } = parseConfigForDel(echoPlugin, raw, (reason) => refusals.push(reason));
  expect(config.mtu).toBeUndefined();
  expect(options.stateDir).toBe('/s');
  expect(refusals).toEqual([expect.stringContaining("'mtu'")]);
});

test('DEL takes a right configuration whole', () => {
  const { config } = parseConfigForDel(echoPlugin, { ...raw, mtu: 9000, mode: 'bridge' }, () => {
    throw new Error('nothing to refuse');
  });
  expect(config).toMatchObject({ mtu: 9000, mode: 'bridge' });
});

test.each([
  ['logLevel', 'loud'],
  ['logFile', 'relative'],
  ['kubeconfig', 'relative'],
  ['nodeName', 5],
  ['whereabouts', 'x'],
])('DEL passes over a setting that is wrong by now: %s', (key, value) => {
  const manifold = { stateDir: '/s', runDir: '/r', [key]: value };
  const refusals: string[] = [];
  const { config, options } = parseConfigForDel(
    echoPlugin,
    { ...raw, mtu: 9000, mode: 'bridge', manifold },
    (reason) => refusals.push(reason),
  );
  expect(options).toEqual({ stateDir: '/s', runDir: '/r', logLevel: 'info' });
  expect(config.mtu).toBe(9000);
  expect(refusals).toEqual([expect.stringContaining(`'manifold.${key}'`)]);
});

test('DEL goes by the settings that are right where others and other keys are wrong', () => {
  const manifold = { stateDir: '/s', kubeconfig: '/kube', logLevel: 'loud' };
  const { options } = parseConfigForDel(echoPlugin, { ...raw, manifold }, () => undefined);
  expect(options).toMatchObject({ stateDir: '/s', kubeconfig: '/kube', logLevel: 'info' });
});

test('DEL cannot do without knowing where the state is', () => {
  const wrong = { ...raw, manifold: { stateDir: 'relative' } };
  expect(() => parseConfigForDel(echoPlugin, wrong, () => undefined)).toThrow(/'manifold.stateDir'/);
});

test('of very many bad keys the first are named, and the others counted', () => {
  const ranges = Array.from({ length: 100_000 }, () => ({ subnet: 7 }));
  const failure = errorOf(() =>
    parseConfig(echoPlugin, { ...raw, mtu: 9000, mode: 'bridge', ipam: { ranges } }),
  );
  expect(failure.message).toContain("'ipam.ranges[0].subnet'");
  const named = failure.hint?.split('; ') ?? [];
  expect(named).toHaveLength(20);
  expect(named.at(-1)).toBe('and 99980 more');
});

function errorOf(work: () => unknown): ManifoldError {
  try {
    work();
  } catch (error) {
    if (error instanceof ManifoldError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
