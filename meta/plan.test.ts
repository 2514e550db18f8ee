import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { networkOf } from './network.ts';
import { type PlanFacts, planAttachments } from './plan.ts';
import { parseRequest } from './request.ts';

const network = (label: string, plugin: JsonObject = {}) =>
  networkOf(
    { cniVersion: '1.1.0', type: 'macvlan', ...plugin },
    { label, source: `/n/${label.replace('/', '-')}.yaml`, fallbackName: label.replace('/', '-') },
  );
const DECLARES_ALL = {
  capabilities: { ips: true, mac: true, portMappings: true, bandwidth: true, infinibandGUID: true },
};
const plan = (text: string, more: Partial<PlanFacts> = {}, plugin: JsonObject = {}) =>
  planAttachments({
    pod: 'pod default/web',
    ifname: 'eth0',
    runtimeConfig: {},
    everyPod: [network('cluster', { type: 'ptp' })],
    asked: parseRequest(text, 'the test').map((request) => ({
      request,
      network: network(`${request.namespace ?? 'default'}/${request.name}`, plugin),
    })),
    ...more,
  });

test('a pod that asks for nothing gets the default network under CNI_IFNAME', () => {
  expect(plan('')).toMatchObject([{ position: 0, ifname: 'eth0', network: { label: 'cluster' } }]);
});

test('networks are named by position, in the order asked, after those of every pod', () => {
  const everyPod = [network('cluster'), network('storage')] as const;
  expect(plan('a, b@gpu, a', { everyPod: [...everyPod] })).toMatchObject([
    { ifname: 'eth0', network: { label: 'cluster' } },
    { ifname: 'net1', network: { label: 'storage' } },
    { ifname: 'net2', network: { label: 'default/a' } },
    { ifname: 'gpu', network: { label: 'default/b' } },
    { ifname: 'net4', network: { label: 'default/a' }, position: 4 },
  ]);
});

test("the kubelet's runtimeConfig reaches the default network alone (NPWG 7.5)", () => {
  const runtimeConfig = { portMappings: [{ hostPort: 80, containerPort: 80 }] };
  const [first, second] = plan('a', { runtimeConfig }, DECLARES_ALL);
  expect(first?.runtimeConfig).toEqual(runtimeConfig);
  expect(second?.runtimeConfig).toEqual({});
});

describe('what a request asks for', () => {
  const ask = (keys: JsonObject) => JSON.stringify([{ name: 'a', ...keys }]);

  test('becomes runtimeConfig of its own network', () => {
    const text = ask({
      ips: ['10.0.0.9/24'],
      mac: '02:00:00:00:00:01',
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'UDP' }],
      bandwidth: { ingressRate: 5 },
      'infiniband-guid': '02:00:00:00:00:00:00:01',
    });
    expect(plan(text, {}, DECLARES_ALL)[1]?.runtimeConfig).toEqual({
      ips: ['10.0.0.9/24'],
      mac: '02:00:00:00:00:01',
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'udp' }],
      bandwidth: { ingressRate: 5 },
      infinibandGUID: '02:00:00:00:00:00:00:01',
    });
  });

  test.each([
    ['ips', { ips: ['10.0.0.9/24'] }],
    ['mac', { mac: '02:00:00:00:00:01' }],
    ['portMappings', { portMappings: [{ hostPort: 80, containerPort: 80 }] }],
    ['bandwidth', { bandwidth: { ingressRate: 5 } }],
    ['infinibandGUID', { 'infiniband-guid': '02:00:00:00:00:00:00:01' }],
  ])('fails where no plugin declares the capability %s (NPWG 4.1.2)', (capability, keys) => {
    const error = `Cannot attach pod default/web to network default/a: it asks for ${capability}, which no plugin of the network declares (/n/default-a.yaml)`;
    expect(() => plan(ask(keys))).toThrow(error);
    expect(() => plan(ask(keys), {}, { capabilities: { [capability]: false } })).toThrow(error);
    expect(plan(ask(keys), {}, { capabilities: { [capability]: true } })).toHaveLength(2);
  });

  test('cni-args go over the args of the definition, in every plugin', () => {
    const text = ask({ 'cni-args': { color: 'blue', size: 2 }, 'ipam-claim-reference': 'vm' });
    const [, planned] = plan(text, {}, { args: { cni: { color: 'red', shape: 'round' }, other: 1 } });
    expect(planned?.network.config.plugins).toMatchObject([
      { args: { cni: { color: 'blue', shape: 'round', size: 2, 'ipam-claim-reference': 'vm' }, other: 1 } },
    ]);
  });

  test('a device is written into the plugins under both names that they know', () => {
    const [, planned] = plan(ask({ deviceID: '0000:3b:00.2' }));
    expect(planned?.network.config.plugins).toMatchObject([
      { deviceID: '0000:3b:00.2', pciBusID: '0000:3b:00.2' },
    ]);
    expect(planned?.runtimeConfig).toEqual({ deviceID: '0000:3b:00.2' });
  });

  test('an IPAMClaim is refused where manifold-ipam would pass over it in silence', () => {
    expect(() =>
      plan(ask({ 'ipam-claim-reference': 'vm' }), {}, { ipam: { type: 'manifold-ipam' } }),
    ).toThrow('which manifold-ipam does not have yet');
  });
});

test.each([
  ['a@eth0', 'the interface name eth0 is taken by network cluster'],
  [
    'a@x, b@x',
    'Cannot attach pod default/web to network default/b: the interface name x is taken by network default/a (/n/default-b.yaml)',
  ],
  ['a@net2, b', 'the interface name net2 is taken by network default/a'],
  ['a@lo', 'the interface name lo is taken by the loopback interface'],
  [
    '[{"name":"a","default-route":["10.0.0.1"]},{"name":"b","default-route":[]}]',
    '"default-route" is already asked for on network default/a',
  ],
])('%s is refused before anything is changed', (text, reason) => {
  expect(() => plan(text)).toThrow(reason);
});
