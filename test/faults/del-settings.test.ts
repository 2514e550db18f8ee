// A configuration was changed to a wrong one while pods ran: DEL of each plugin must free what ADD has taken.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { metaAndDelegates } from '../../meta/bin/meta-and-delegates.ts';
import { createProgramDeps } from '../../meta/bin/program-deps.ts';
import type { JsonObject, Plugin } from '../../pkg/cni/plugin.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { ATTACHMENT_ENV, callPlugin } from '../kit/call-plugin.ts';

const root = mkdtempSync(join(tmpdir(), 'manifold-del-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const deps = createProgramDeps(silentLogger);
const plugins = new Map<string, Plugin>(metaAndDelegates(deps, '').map((plugin) => [plugin.name, plugin]));

const WRONG: readonly JsonObject[] = [
  { logLevel: 'loud' },
  { logFile: 'relative' },
  { nodeName: 5 },
  { whereabouts: 'x' },
  { kubeconfig: 'relative' },
  { kubeconfig: '/nowhere/at/all' },
  { logLevel: 7, nodeName: '', whereabouts: null, kubeconfig: {} },
];
const OWN: Readonly<Record<string, JsonObject>> = {
  manifold: { delegates: [{ cniVersion: '1.0.0', name: 'a', type: 'macvlan', ipam: {} }] },
  macvlan: { ipam: { type: 'manifold-ipam', range: '10.77.0.0/24' } },
  'host-device': { device: 'gone0', ipam: { type: 'manifold-ipam', range: '10.77.0.0/24' } },
  sriov: { deviceID: '0000:00:00.0', ipam: { type: 'manifold-ipam', range: '10.77.0.0/24' } },
  whereabouts: {
    ipam: { type: 'whereabouts', range: '10.77.0.0/24', kubernetes: { kubeconfig: '/nowhere' } },
  },
};

let place: { readonly stateDir: string; readonly runDir: string };
beforeEach(() => {
  const directory = mkdtempSync(join(root, 'node-'));
  place = { stateDir: join(directory, 'state'), runDir: join(directory, 'run') };
});

function call(name: string, verb: 'ADD' | 'DEL', own: JsonObject, settings: JsonObject) {
  const plugin = plugins.get(name);
  if (plugin === undefined) throw new Error(`there is no plugin ${name}`);
  const manifold = { ...place, logLevel: 'error', ...settings };
  const config = { cniVersion: '1.0.0', name: 'net', type: name, ...own, manifold };
  return callPlugin(plugin, { ...ATTACHMENT_ENV, CNI_COMMAND: verb }, config, { plugins });
}

describe.each([...plugins.keys()])('DEL of %s', (name) => {
  test.each(WRONG)('succeeds though the settings have %j by now', async (settings) => {
    const { exitCode, stdout } = await call(name, 'DEL', OWN[name] ?? {}, settings);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
  });

  test('fails where it cannot be read where the state is', async () => {
    const { exitCode, output } = await call(name, 'DEL', OWN[name] ?? {}, { stateDir: 7 });
    expect({ exitCode, code: output?.code }).toEqual({ exitCode: 1, code: 7 });
  });
});

test.each(WRONG)(
  'DEL of manifold-ipam frees the address though the settings have %j by now',
  async (settings) => {
    const own = { ipam: { type: 'manifold-ipam', range: '10.77.0.0/24' } };
    expect(await call('manifold-ipam', 'ADD', own, {})).toMatchObject({ exitCode: 0 });
    const { leases } = deps.openStore(place);
    const states = () => leases.ofContainer(ATTACHMENT_ENV.CNI_CONTAINERID).map(({ state }) => state);
    expect(states()).toEqual(['claimed']);
    await call('manifold-ipam', 'DEL', own, settings);
    expect(states()).toEqual(['resting']);
  },
);
