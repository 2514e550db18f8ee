import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimRequestOf } from '../../ipam/claims.ts';
import { parseIpamConfig } from '../../ipam/config.ts';
import { nodeLeaseStore } from '../../ipam/node-lease-store.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { callPlugin } from '../kit/call-plugin.ts';
import { withNetns } from '../kit/netns.ts';
import { ipamNetwork } from './ipam-program.ts';

let root: string;
let mounted: boolean;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-ipam-'));
  mounted = false;
});
afterEach(() => {
  if (mounted) execFileSync('umount', ['-l', join(root, 'state')]);
  rmSync(root, { recursive: true });
});

function mountState(...words: string[]): void {
  mkdirSync(join(root, 'state'), { recursive: true });
  execFileSync('mount', [...words, join(root, 'state')]);
  mounted = true;
}

/** Each call opens the store anew, as each process does. */
async function call(verb: string, container: string) {
  const plugin = createIpam({
    kernel: createKernel(),
    openStore: ({ stateDir, runDir }) => openNodeStore(stateDir, { runDirectory: runDir }),
    kube: () => {
      throw new Error('no cluster was named');
    },
    now: () => Date.now(),
  });
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: container,
    CNI_IFNAME: 'net1',
    CNI_NETNS: '/run/netns/manifold-none',
    CNI_PATH: '/nowhere',
  };
  const { output } = await callPlugin(plugin, env, ipamNetwork(root, { range: '10.0.0.0/24' }));
  return output;
}

const leases = () => {
  const store = openNodeStore(join(root, 'state'), { runDirectory: join(root, 'run') });
  expect(checkState(store).broken).toEqual([]);
  const found = store.leases.all().map(({ containerId, state }) => `${containerId} ${state}`);
  store.close();
  return found;
};

test('on a full disk ADD fails and leaves nothing, STATUS says so, DEL succeeds and is carried out later', async () => {
  mountState('-t', 'tmpfs', '-o', 'size=512k', 'tmpfs');
  await call('ADD', 'c1');
  const { bavail, bsize } = statfsSync(join(root, 'state'));
  const filler = join(root, 'state/filler');
  writeFileSync(filler, Buffer.alloc(bavail * bsize));
  // The log of the store may have room for a few more, so enough are asked for.
  let failed = 0;
  let last: Awaited<ReturnType<typeof call>>;
  for (let i = 0; i < 30; i++) {
    last = await call('ADD', `x${i}`);
    if (last?.code !== undefined) failed++;
  }
  expect(failed).toBeGreaterThan(0);
  expect(last?.msg).toContain("Cannot write the node's store: no space is left on its file system");
  expect(await call('STATUS', 'c1')).toMatchObject({
    code: 50,
    msg: expect.stringContaining('no space is left'),
  });
  expect(await call('DEL', 'c1')).toBeUndefined();
  expect(readdirSync(join(root, 'run/released'))).toHaveLength(1);
  rmSync(filler);
  const found = leases();
  expect(found[0]).toBe('c1 resting');
  expect(found).toHaveLength(1 + 30 - failed);
  expect(readdirSync(join(root, 'run/released'))).toEqual([]);
});

test('on a read-only file system ADD fails, DEL of what is held is deferred, DEL of anything else just succeeds', async () => {
  await call('ADD', 'c1');
  mountState('--bind', join(root, 'state'));
  execFileSync('mount', ['-o', 'remount,ro,bind', join(root, 'state')]);
  expect((await call('ADD', 'c2'))?.msg).toContain('its file system is read-only');
  expect(await call('DEL', 'c2')).toBeUndefined();
  expect(readdirSync(root)).toEqual(['state']);
  expect(await call('DEL', 'c1')).toBeUndefined();
  expect(readdirSync(join(root, 'run/released'))).toHaveLength(1);
  execFileSync('umount', ['-l', join(root, 'state')]);
  mounted = false;
  expect(leases()).toEqual(['c1 resting']);
});

test('a claim whose process died is taken over only when its interface is not there', async () => {
  await withNetns(async (netns) => {
    const node = openNodeStore(join(root, 'state'));
    const store = nodeLeaseStore(node, { kernel: createKernel(), now: () => Date.now() });
    const ask = (containerId: string) =>
      store.claim(
        [
          claimRequestOf(parseIpamConfig({ name: 'n', ipam: { range: '10.0.0.7/32' } }), {
            network: 'n',
            containerId,
            ifname: 'net1',
            netns: netns.path,
            args: {},
          }),
        ],
        'claimed',
      );
    await ask('c1');
    const [lease] = node.leases.all();
    if (lease !== undefined)
      node.leases.put({ ...lease, writer: { ...lease.writer, pid: spawnSync('true').pid ?? 1 } });
    netns.ip('link', 'add', 'net1', 'type', 'bridge');
    await expect(ask('c2')).rejects.toMatchObject({ code: 'no-address' });
    const [kept] = node.leases.all();
    // Of an earlier boot, the namespace that now has its path is another.
    if (kept !== undefined)
      node.leases.put({ ...kept, writer: { ...kept.writer, bootId: 'an earlier one' } });
    expect(await ask('c3')).toHaveLength(1);
    if (kept !== undefined) node.leases.put(kept);
    netns.ip('link', 'del', 'net1');
    expect(await ask('c2')).toHaveLength(1);
    expect(node.leases.all()).toMatchObject([{ containerId: 'c2' }]);
    node.close();
  });
});
