import { describe, expect, test } from 'vitest';
import { ManifoldError } from '../errors/manifold-error.ts';
import { parseNetworkList } from './network-list.ts';
import type { DelegateOptions, Delegates, JsonObject } from './plugin.ts';
import { addList, checkList, collectList, deleteList, statusOfList } from './run-list.ts';

interface Recorded {
  readonly verb: string;
  readonly type: string;
  readonly config: JsonObject;
  readonly options: DelegateOptions | undefined;
}

/** Records what is called; a type named "bad…" fails. */
function recorder(): { calls: Recorded[]; delegates: Delegates } {
  const calls: Recorded[] = [];
  const call = (verb: string) => async (type: string, config: JsonObject, options?: DelegateOptions) => {
    calls.push({ verb, type, config, options });
    if (type.startsWith('bad')) throw new ManifoldError('delegate', `${type} failed`, { cniCode: 7 });
  };
  const add: Delegates['add'] = async (type, config, options) => {
    await call('ADD')(type, config, options);
    return { ips: [{ address: `10.0.0.${calls.length}/24` }] };
  };
  const rest = { del: call('DEL'), check: call('CHECK'), status: call('STATUS'), gc: call('GC') };
  return { calls, delegates: { add, ...rest } };
}

const listOf = (types: string[], more: object = {}) =>
  parseNetworkList(
    JSON.stringify({ cniVersion: '1.1.0', name: 'net', plugins: types.map((type) => ({ type })), ...more }),
    'here',
  );
const at = { containerId: 'c', ifname: 'net1', netns: '/ns', args: { A: '1' } };
const prevResult = (address: string, cniVersion = '1.1.0') => ({ cniVersion, ips: [{ address }] });
const added = { ips: [{ address: '10.0.0.9/24' }] };

describe('ADD', () => {
  test('runs the plugins in order, each given the result before it', async () => {
    const { calls, delegates } = recorder();
    const result = await addList(listOf(['a', 'b', 'c']), at, delegates);
    const common = { name: 'net', cniVersion: '1.1.0' };
    expect(calls.map(({ verb, config }) => ({ verb, config }))).toEqual([
      { verb: 'ADD', config: { type: 'a', ...common } },
      { verb: 'ADD', config: { type: 'b', ...common, prevResult: prevResult('10.0.0.1/24') } },
      { verb: 'ADD', config: { type: 'c', ...common, prevResult: prevResult('10.0.0.2/24') } },
    ]);
    expect(calls[0]?.options).toEqual(at);
    expect(result).toEqual({ ips: [{ address: '10.0.0.3/24' }] });
  });

  test('hands on only the capabilities that a plugin declares, and not the declaration', async () => {
    const plugins = [
      { type: 'a', capabilities: { ips: true, mac: false }, keep: 1, runtimeConfig: { ips: ['old'] } },
      { type: 'b' },
    ];
    const { calls, delegates } = recorder();
    await addList(
      listOf([], { plugins }),
      { ...at, capabilityArgs: { ips: ['x'], mac: 'y', dns: {} } },
      delegates,
    );
    expect(calls[0]?.config).toEqual({
      type: 'a',
      keep: 1,
      name: 'net',
      cniVersion: '1.1.0',
      runtimeConfig: { ips: ['x'] },
    });
    expect(calls[1]?.config).not.toHaveProperty('runtimeConfig');
  });

  test('ends at the first failure', async () => {
    const { calls, delegates } = recorder();
    await expect(addList(listOf(['a', 'bad', 'c']), at, delegates)).rejects.toThrow('bad failed');
    expect(calls.map((call) => call.type)).toEqual(['a', 'bad']);
  });
});

describe('DEL', () => {
  test('runs the plugins in reverse order, all with the result of ADD', async () => {
    const { calls, delegates } = recorder();
    await deleteList(listOf(['a', 'b']), at, delegates, added);
    expect(calls.map((call) => [call.verb, call.type, call.config.prevResult])).toEqual([
      ['DEL', 'b', prevResult('10.0.0.9/24')],
      ['DEL', 'a', prevResult('10.0.0.9/24')],
    ]);
  });

  test('gives no result to plugins older than 0.4.0', async () => {
    const { calls, delegates } = recorder();
    await deleteList(listOf(['a'], { cniVersion: '0.3.1' }), at, delegates, added);
    expect(calls[0]?.config).not.toHaveProperty('prevResult');
  });
});

describe('CHECK, STATUS and GC', () => {
  test('CHECK gives every plugin the final result', async () => {
    const { calls, delegates } = recorder();
    await checkList(listOf(['a', 'b']), at, delegates, added);
    expect(calls.map((call) => [call.type, call.config.prevResult])).toEqual([
      ['a', prevResult('10.0.0.9/24')],
      ['b', prevResult('10.0.0.9/24')],
    ]);
  });

  test('a list that is too old or has them disabled calls nobody', async () => {
    const { calls, delegates } = recorder();
    await checkList(listOf(['a'], { disableCheck: true }), at, delegates, added);
    await checkList(listOf(['a'], { cniVersion: '0.3.1' }), at, delegates, added);
    await statusOfList(listOf(['a'], { cniVersion: '1.0.0' }), delegates);
    await collectList(listOf(['a'], { disableGC: true }), [], delegates);
    await collectList(listOf(['a'], { cniVersion: '1.0.0' }), [], delegates);
    expect(calls).toEqual([]);
  });

  test('STATUS ends at the first plugin that cannot serve, with its code', async () => {
    const { calls, delegates } = recorder();
    await expect(statusOfList(listOf(['a', 'bad', 'c']), delegates)).rejects.toMatchObject({ cniCode: 7 });
    expect(calls.map((call) => call.type)).toEqual(['a', 'bad']);
  });

  test('GC goes on after a failure and reports them all', async () => {
    const { calls, delegates } = recorder();
    const valid = [{ containerId: 'c', ifname: 'net1' }];
    const collecting = collectList(listOf(['bad1', 'a', 'bad2']), valid, delegates);
    await expect(collecting).rejects.toThrow("Cannot collect network 'net': bad1 failed; bad2 failed");
    expect(calls.map((call) => call.type)).toEqual(['bad1', 'a', 'bad2']);
    expect(calls[1]?.config['cni.dev/valid-attachments']).toEqual([{ containerID: 'c', ifname: 'net1' }]);
    expect(calls[1]?.config['cni.dev/attachments']).toEqual([{ containerID: 'c', ifname: 'net1' }]);
  });
});
