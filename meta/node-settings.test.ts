import { expect, test } from 'vitest';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import type { MetaConfig } from './config.ts';
import { withNodeSettings } from './node-settings.ts';

const dirs = { stateDir: '/state', runDir: '/run', logLevel: 'info' } as const;
const node = (more: Partial<MetaConfig['manifold']> = {}): MetaConfig['manifold'] => ({
  ...dirs,
  networksDir: '/networks',
  ...more,
});
const ours = new Set(['macvlan', 'manifold-ipam']);
const settings = (plugin: JsonObject, manifold: MetaConfig['manifold']) => {
  const { plugins } = withNodeSettings({ plugins: [plugin] }, manifold, ours);
  return Array.isArray(plugins) ? plugins[0]?.manifold : undefined;
};

test('the settings of the node stand in every plugin of ours, and in others that call an IPAM plugin of ours', () => {
  const kube = { kubeconfig: '/kube', nodeName: 'n1' };
  expect(settings({ type: 'macvlan' }, node(kube))).toEqual({ ...dirs, ...kube });
  expect(settings({ type: 'bridge', ipam: { type: 'manifold-ipam' } }, node(kube))).toEqual({
    ...dirs,
    ...kube,
  });
  expect(settings({ type: 'bridge' }, node(kube))).toBeUndefined();
});

test('a definition chooses neither directory, log file nor node, and a cluster only where the node has none', () => {
  const theirs = {
    type: 'macvlan',
    manifold: { stateDir: '/s', logFile: '/l', kubeconfig: '/theirs', nodeName: 'another', own: 1 },
  };
  expect(settings(theirs, node({ kubeconfig: '/kube' }))).toEqual({ ...dirs, kubeconfig: '/kube', own: 1 });
  expect(settings(theirs, node())).toEqual({ ...dirs, kubeconfig: '/theirs', own: 1 });
});

test('where the rdma that is chained is not ours, our plugins leave RDMA devices to it, unless they are told otherwise', () => {
  const list = (own: JsonObject) => ({
    plugins: [
      { type: 'macvlan', manifold: own },
      { type: 'bridge', ipam: { type: 'manifold-ipam' } },
      { type: 'rdma' },
    ],
  });
  const manifolds = (own: JsonObject, types: ReadonlySet<string>) => {
    const { plugins } = withNodeSettings(list(own), node(), types);
    return Array.isArray(plugins) ? plugins.map((plugin) => plugin?.manifold) : [];
  };
  expect(manifolds({}, ours)).toEqual([{ ...dirs, rdma: 'off' }, dirs, undefined]);
  expect(manifolds({ rdma: 'require' }, ours)).toEqual([{ ...dirs, rdma: 'require' }, dirs, undefined]);
  expect(manifolds({}, new Set([...ours, 'rdma']))).toEqual([dirs, dirs, dirs]);
});
