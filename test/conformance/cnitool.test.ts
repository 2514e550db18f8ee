// libcni's own runtime drives plugins through every verb that it has, in every version from 0.3.1 on.
import { describe, test } from 'vitest';
import { CnitoolScene } from '../kit/cnitool.ts';
import { cnitool, debianPlugins, goPlugins } from '../kit/reference-plugins.ts';
import { DIST_BIN } from '../kit/test-node.ts';
import type { JsonObject } from './json.ts';

const IPAM = { type: 'host-local', ranges: [[{ subnet: '10.89.0.0/24' }]], dataDir: '@TMP@/leases' };

interface DrivenPlugin {
  readonly origin: string;
  readonly directory: string;
  readonly versions: readonly string[];
  readonly plugin: JsonObject;
  readonly devices: readonly string[];
}

const OUR_IPAM = { type: 'manifold-ipam', range: '10.89.0.0/24' };
const STATE = { stateDir: '@TMP@/manifold', runDir: '@TMP@/run', networksDir: '@TMP@' };

function ours(): DrivenPlugin[] {
  const about = {
    origin: 'Manifold',
    directory: DIST_BIN,
    versions: [...OLD_VERSIONS, '1.1.0'],
    devices: ['up0'],
  };
  const macvlan = { type: 'macvlan', master: 'up0', ipam: OUR_IPAM };
  const plugins: JsonObject[] = [
    { ...macvlan, manifold: STATE },
    { type: 'host-device', device: 'up0', ipam: OUR_IPAM, manifold: STATE },
    { type: 'manifold', delegates: [{ cniVersion: '1.1.0', name: 'default', ...macvlan }], manifold: STATE },
  ];
  return plugins.map((plugin) => ({ ...about, plugin }));
}

const OLD_VERSIONS = ['0.3.1', '0.4.0', '1.0.0'];

function reference(origin: string, directory: string, versions: readonly string[]): DrivenPlugin[] {
  return [
    { origin, directory, versions, plugin: { type: 'macvlan', master: 'up0', ipam: IPAM }, devices: ['up0'] },
    {
      origin,
      directory,
      versions,
      plugin: { type: 'host-device', device: 'up0', ipam: IPAM },
      devices: ['up0'],
    },
    { origin, directory, versions, plugin: { type: 'ptp', ipam: IPAM }, devices: [] },
  ];
}

const tool = await cnitool();
const go = await goPlugins();
const driven = [
  ...ours(),
  ...reference('Debian', debianPlugins(), OLD_VERSIONS),
  ...(go === undefined ? [] : reference('v1.9.1', go, [...OLD_VERSIONS, '1.1.0'])),
];
const cases = driven.flatMap((plugin) =>
  plugin.versions.map((cniVersion) => ({ ...plugin, cniVersion, type: plugin.plugin.type })),
);

// Without Go there is no cnitool, and nothing of it to test.
describe.runIf(tool !== undefined)('cnitool', () => {
  test.for(cases)('drives $type of $origin in $cniVersion', async (subject, { expect }) => {
    const { directory, plugin, cniVersion, devices } = subject;
    const options = { cnitool: tool ?? '', path: [directory], plugin, cniVersion, devices };
    await using scene = await CnitoolScene.open(options);

    // Before ADD: afterwards a whole NIC is spoken for, and its STATUS says so.
    await scene.run('status');
    const result: unknown = JSON.parse(await scene.run('add'));
    expect(result).toMatchObject({ cniVersion, interfaces: expect.any(Array) });
    expect((await scene.interface())?.addresses).toHaveLength(1);
    // CHECK came with 0.4.0; libcni refuses it before.
    if (cniVersion !== '0.3.1') await scene.run('check');
    else expect((await scene.try('check')).exitCode).not.toBe(0);
    await scene.run('del');
    expect(await scene.interface()).toBeUndefined();

    // Before it calls GC, libcni deletes every attachment of its cache that the list does not name, in any
    // version; cnitool names none.
    await scene.run('add');
    await scene.run('gc');
    expect(await scene.interface()).toBeUndefined();
  });
});
