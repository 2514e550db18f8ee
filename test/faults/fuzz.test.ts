// 10,000 bad calls of our real plugins, with the real kernel and store below them: each is refused with a spec error
// that names the mistake, and none leaves a trace. Some of them also go to the executables.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { ipamInside } from '../../meta/bin/ipam-inside.ts';
import { metaAndDelegates } from '../../meta/bin/meta-and-delegates.ts';
import { createProgramDeps } from '../../meta/bin/program-deps.ts';
import { answerCall } from '../../pkg/cni/answer.ts';
import type { JsonObject, Plugin } from '../../pkg/cni/plugin.ts';
import { silentLogger } from '../../pkg/log/logger.ts';
import { type BadCall, badCalls, type GoodCall } from '../kit/bad-inputs.ts';
import { makeHostNic, makeNetns, type TestNetns, type TestNic } from '../kit/netns.ts';
import { DIST_BIN, run } from '../kit/test-node.ts';

const directory = mkdtempSync(join(tmpdir(), 'manifold-fuzz-'));
const stateDir = join(directory, 'state');
const deps = createProgramDeps(silentLogger);
const plugins = new Map<string, Plugin>(
  [createMacvlan(deps), createHostDevice(deps), ...ipamInside(deps), ...metaAndDelegates(deps, '')].map(
    (p) => [p.name, p],
  ),
);
let nic: TestNic;
let pod: TestNetns;
let hostBefore: string;

/** Links and their flags; addresses come and go by themselves (duplicate address detection). */
const hostLinks = () => execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });

beforeAll(() => {
  nic = makeHostNic();
  pod = makeNetns();
  hostBefore = hostLinks();
});
afterAll(() => {
  nic[Symbol.dispose]();
  pod[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

const manifold = { stateDir, runDir: join(directory, 'run') };
const ipam = { type: 'manifold-ipam', range: '10.20.0.0/24' };
const IPAM_REFUSED = {
  'ipam.range': ['x', '10.20.0.0/33', '10.20.0.0', 7, '10.20.0.9-10.20.0.1/24', 'fe80::/129'],
  'ipam.range_start': ['x', '10.21.0.1', 'fd00::1', 5],
  'ipam.range_end': ['x', '10.19.0.1', 5],
  'ipam.exclude': [['x'], ['10.20.0.0/40'], 'x', 3],
  'ipam.ipRanges': ['x', [1], [{}], [{ range: 'x' }]],
  'ipam.gateway': ['x', 4, {}, ['x']],
  'ipam.routes': ['x', [{}], [{ dst: 'x' }], [{ dst: '0.0.0.0/0', gw: 'x' }]],
  'runtimeConfig.ips': ['x', ['x'], [5]],
};

const GOOD: Readonly<Record<string, { config: () => JsonObject; refused: GoodCall['refused'] }>> = {
  macvlan: {
    config: () => ({ master: nic.name, ipam, runtimeConfig: {} }),
    refused: {
      mtu: ['big', -1, 65536, 1.5, null, [], true],
      mode: ['source', 'tap', 1, {}, null],
      mac: ['x', '01:00:00:00:00:00', '00:00:00:00:00:00', 5, '02:00:00:00:00:01:02:03'],
      linkInContainer: ['yes', 1, null],
      bcqueuelen: [-1, 1e12, 'x'],
      master: [1, null, [], '', 'a b', 'a/b'],
      'runtimeConfig.mac': ['x', 1, 'ff:ff:ff:ff:ff:ff'],
      'manifold.logLevel': ['loud', 1],
    },
  },
  'host-device': {
    config: () => ({ device: nic.name, ipam, runtimeConfig: {} }),
    refused: {
      device: ['a/b', 1, null, 'a b'],
      hwaddr: ['x', 5],
      kernelpath: ['/etc', '/sys/devices/../x', 5],
      pciBusID: ['eth0', '0000:3b:00', 1],
      'runtimeConfig.deviceID': ['../x', '', 5],
      'manifold.force': ['yes', 1],
    },
  },
  'manifold-ipam': { config: () => ({ ipam, runtimeConfig: {} }), refused: IPAM_REFUSED },
  manifold: {
    config: () => ({
      delegates: [{ cniVersion: '1.1.0', name: 'd', type: 'macvlan', master: nic.name, ipam }],
    }),
    refused: {
      delegates: ['x', [], [1], {}],
      confDir: ['relative', 1],
      'manifold.networks': [
        1,
        '/',
        'a@b@c',
        'a/b/c',
        '[',
        [1],
        [{}],
        'UPPER_case',
        'rail0@a-name-of-more-than-15-bytes',
      ],
      'manifold.networksDir': ['relative', 2],
      namespaceIsolation: ['yes', 1],
    },
  },
};

const goodCall = (name: string): GoodCall => {
  const entry = GOOD[name];
  if (entry === undefined) throw new Error(name);
  return {
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'fuzz',
      CNI_NETNS: pod.path,
      CNI_IFNAME: 'net1',
      CNI_PATH: DIST_BIN,
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=p',
    },
    config: { cniVersion: '1.1.0', name: 'net', type: name, manifold, ...entry.config() },
    refused: entry.refused ?? {},
  };
};

function expectRefusal(bad: BadCall, output: JsonObject | undefined, printed: string): void {
  expect(bad.codes, printed).toContain(output?.code);
  const said = `${output?.msg} ${output?.details ?? ''}`;
  expect(
    bad.culprits.some((culprit) => said.includes(culprit)),
    `${bad.culprits.join(', ')} in: ${said}`,
  ).toBe(true);
  expect(printed).not.toMatch(/\n\s+at |\.[tc]?[jt]s:\d+/);
  expect(output?.msg).not.toContain('\n');
}

function expectNoTrace(): void {
  const names = pod.ip('link').map((link) => (link as { ifname: string }).ifname);
  expect(names).toEqual(['lo']);
  expect(hostLinks()).toBe(hostBefore);
  expect(readdirSync(directory)).toEqual([]);
}

describe.each(Object.keys(GOOD))('%s', (name) => {
  test('refuses 2,500 bad calls, naming the mistake, and leaves no trace', async () => {
    const plugin = plugins.get(name);
    if (plugin === undefined) throw new Error(name);
    await fc.assert(
      fc.asyncProperty(badCalls(goodCall(name)), async (bad) => {
        let stderr = '';
        const answer = await answerCall(plugin, () => bad.stdin, {
          env: bad.env,
          plugins,
          stderr: (text) => {
            stderr += text;
          },
        });
        expect(answer.exitCode).toBe(1);
        expectRefusal(bad, answer.output, stderr);
      }),
      { numRuns: 2500, seed: 20_261_124 },
    );
    expectNoTrace();
  });

  test('its executable answers 150 bad calls the same way', async () => {
    for (const bad of fc.sample(badCalls(goodCall(name)), { numRuns: 150, seed: 11 })) {
      const outcome = await run([join(DIST_BIN, name)], bad.env, bad.stdin);
      expect(outcome.code).toBe(1);
      expectRefusal(bad, outcome.json, outcome.stdout + outcome.stderr);
    }
    expectNoTrace();
  });
});
