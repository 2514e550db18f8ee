// libcni's own runtime drives plugins through every verb that it has, in every version from 0.3.1 on.
import { describe, test } from 'vitest';
import { CnitoolScene } from '../kit/cnitool.ts';
import { cnitool, debianPlugins, goPlugins } from '../kit/reference-plugins.ts';
import type { JsonObject } from './json.ts';

const IPAM = { type: 'host-local', ranges: [[{ subnet: '10.89.0.0/24' }]], dataDir: '@TMP@/leases' };

interface DrivenPlugin {
  readonly origin: string;
  readonly directory: string;
  readonly versions: readonly string[];
  readonly plugin: JsonObject;
  readonly devices: readonly string[];
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

    const result: unknown = JSON.parse(await scene.run('add'));
    expect(result).toMatchObject({ cniVersion, interfaces: expect.any(Array) });
    expect((await scene.interface())?.addresses).toHaveLength(1);
    // CHECK came with 0.4.0; libcni refuses it before.
    if (cniVersion !== '0.3.1') await scene.run('check');
    else expect((await scene.try('check')).exitCode).not.toBe(0);
    await scene.run('status');
    await scene.run('del');
    expect(await scene.interface()).toBeUndefined();

    // Before it calls GC, libcni deletes every attachment of its cache that the list does not name, in any
    // version; cnitool names none.
    await scene.run('add');
    await scene.run('gc');
    expect(await scene.interface()).toBeUndefined();
  });
});
