// The allocator over the cluster's leases, against a real API server: what is given, and how many calls it costs.
import { describe, expect, test } from 'vitest';
import { IP_LEASES, type IpLease, timeText } from '../../ipam/ip-lease.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { openKubeClient } from '../../pkg/kube/open-kube-client.ts';
import { leasesOf, readAll } from '../kit/cluster-node.ts';
import type { FaultProxy } from '../kit/fault-proxy/fault-proxy.ts';
import { claimRequest } from '../kit/lease-world.ts';
import { nodesBehindProxy } from '../kit/proxied-nodes.ts';

let proxy: FaultProxy;
let admin: KubeClient;
const node = nodesBehindProxy((made) => {
  ({ proxy, admin } = made);
});

/** What was asked for since the last call: "POST 201". */
function calls(): string[] {
  const said = proxy.requests.map(({ method, status }) => `${method} ${status}`);
  proxy.requests.length = 0;
  return said;
}

/** By hand, as if another node had done it. */
async function change(name: string, spec: (now: IpLease['spec']) => IpLease['spec']): Promise<void> {
  const lease = await admin.get<IpLease>(IP_LEASES, name);
  await admin.replace<IpLease>(IP_LEASES, { ...lease, spec: spec(lease.spec) });
}

const small = { range: '10.0.0.0/29', gateway: '10.0.0.1' }; // 2 to 6
const wide = { range: '10.16.0.0/12' };

describe('calls', () => {
  test('one from a wide range costs one, its DEL one, and its address is not the lowest', async () => {
    const n1 = node();
    const [address] = await n1.give(wide);
    expect(calls()).toEqual(['POST 201']);
    expect(address).toMatch(/^10\.(1[6-9]|2\d|3[01])\./);
    expect(address).not.toBe('10.16.0.1');
    await n1.free('c1');
    expect(calls()).toEqual(['PUT 200']);
    expect(await leasesOf(admin)).toEqual([`${address} Resting c1 n1`]);
  });

  test('one from a small range costs two, and is the lowest', async () => {
    const n1 = node();
    expect(await n1.give(small, { container: 'a' })).toEqual(['10.0.0.2']);
    expect(calls()).toEqual(['GET 200', 'POST 201']);
    expect(await n1.give(small, { container: 'b' })).toEqual(['10.0.0.3']);
    expect(await leasesOf(admin)).toEqual(['10.0.0.2 Held a n1', '10.0.0.3 Held b n1']);
  });

  test('an ADD of the same container again costs none, of a new container of the same pod one', async () => {
    const n1 = node();
    const first = await n1.give(wide, { uid: 'u1', container: 'a' });
    calls();
    expect(await n1.give(wide, { uid: 'u1', container: 'a' })).toEqual(first);
    expect(calls()).toEqual([]);
    expect(await n1.give(wide, { uid: 'u1', container: 'b' })).toEqual(first);
    expect(calls()).toEqual(['PUT 200']);
    expect(await leasesOf(admin)).toEqual([`${first[0]} Held b n1`]);
  });

  test('DEL and ADD again, as a sandbox restart is, give the same address back for one call each', async () => {
    const n1 = node();
    const first = await n1.give(wide, { uid: 'u1', container: 'a' });
    await n1.free('a');
    calls();
    expect(await n1.give(wide, { uid: 'u1', container: 'b' })).toEqual(first);
    expect(calls()).toEqual(['PUT 200']);
    expect(await leasesOf(admin)).toEqual([`${first[0]} Held b n1`]);
  });

  test('eight addresses of one pod cost eight, at once', async () => {
    const n1 = node();
    const requests = Array.from({ length: 8 }, (_, i) =>
      claimRequest({ range: `10.${40 + i}.0.0/16` }, { ifname: `net${i}`, network: `rail${i}` }),
    );
    const grants = await n1.store.claim(requests, 'claimed');
    expect(grants.flat()).toHaveLength(8);
    expect(calls()).toEqual(Array.from({ length: 8 }, () => 'POST 201'));
    for (const { ifname, network } of requests)
      expect(await n1.store.ofAttachment({ containerId: 'c1', ifname, network })).toHaveLength(1);
  });

  test('a DEL of what holds nothing costs none', async () => {
    await node().free('nobody');
    expect(calls()).toEqual([]);
  });
});

describe('drawing', () => {
  test('IPv4 and IPv6 come together, from a /24 and a /64', async () => {
    const n1 = node();
    const dual = { ipRanges: [{ range: '10.0.0.0/24' }, { range: 'fd00::/64' }] };
    const [four, six] = await n1.give(dual);
    expect(four).toBe('10.0.0.1');
    expect(six).toMatch(/^fd00::/);
    await n1.free('c1');
    expect((await readAll(admin)).map(({ spec }) => spec.phase)).toEqual(['Resting', 'Resting']);
  });

  test('overlapping ranges of two definitions, and one range cut in several, never give an address twice', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    const given = await Promise.all([
      ...Array.from({ length: 3 }, (_, i) => n1.give({ range: '10.0.0.0/29' }, { container: `a${i}` })),
      ...Array.from({ length: 3 }, (_, i) =>
        n2.give({ range: '10.0.0.0-10.0.0.6/28' }, { container: `b${i}`, network: 'rail1' }),
      ),
    ]);
    expect(new Set(given.flat()).size).toBe(6);
    const late = n1.give({ range: '10.0.0.0/29' }, { container: 'late' });
    await expect(late).rejects.toMatchObject({ code: 'no-address' });
  });

  test('networks of different names for their domain may give the same address', async () => {
    const n1 = node();
    expect(await n1.give({ ...small, network_name: 'blue' }, { container: 'a' })).toEqual(['10.0.0.2']);
    expect(await n1.give({ ...small, network_name: 'Not A Label' }, { container: 'b' })).toEqual([
      '10.0.0.2',
    ]);
    const perSubnet = { range: '10.0.0.0/29', enable_overlapping_ranges: false };
    expect(await n1.give(perSubnet, { container: 'c' })).toEqual(['10.0.0.1']);
    expect(await n1.give(perSubnet, { container: 'd' })).toEqual(['10.0.0.2']);
  });

  test('thousands of excluded addresses are never given', async () => {
    const n1 = node();
    const exclude = Array.from({ length: 4000 }, (_, i) => `10.16.${i >> 6}.${(i & 63) * 4 + 1}`);
    const [address = ''] = await n1.give({ range: '10.16.0.0/18', exclude });
    expect(exclude).not.toContain(address);
    expect(calls()).toEqual(['POST 201']);
  });

  test('the order may be said', async () => {
    const n1 = node();
    expect(await n1.give({ ...wide, order: 'lowest' }, { container: 'a' })).toEqual(['10.16.0.1']);
    calls();
    await n1.give({ ...small, order: 'spread' }, { container: 'b' });
    expect(calls()).toEqual(['POST 201']);
  });

  test('the last address of a range is found by many at once, and the others are told who holds it', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    for (let i = 0; i < 4; i++) await n1.give(small, { container: `x${i}`, namespace: 'team-a' });
    const claims = Array.from({ length: 6 }, (_, i) => (i % 2 ? n1 : n2).give(small, { container: `c${i}` }));
    const settled = await Promise.allSettled(claims);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of settled)
      if (one.status === 'rejected')
        expect(one.reason).toMatchObject({
          code: 'no-address',
          message: expect.stringMatching(
            /all 5 of 10\.0\.0\.2-10\.0\.0\.6 are held \(team-a 4, ns 1; by node: n1 [45](, n2 1)?\)/,
          ),
        });
    expect(await readAll(admin)).toHaveLength(5);
    for (const one of [n1, n2]) expect(one.rows().filter((row) => !row.includes('held'))).toEqual([]);
  });

  test('when one attachment finds no address, none is claimed', async () => {
    const n1 = node();
    await n1.give({ range: 'fd00::/128' }, { container: 'other' });
    const requests = [
      claimRequest(wide),
      claimRequest({ range: 'fd00::/128' }, { ifname: 'net2', network: 'rail1' }),
    ];
    await expect(n1.store.claim(requests, 'claimed')).rejects.toMatchObject({ code: 'no-address' });
    expect(n1.node.clusterLeases.ofContainer('c1').filter(({ state }) => state !== 'resting')).toEqual([]);
    expect((await leasesOf(admin)).filter((line) => line.includes('Held'))).toEqual(['fd00:: Held other n1']);
  });
});

describe('rest', () => {
  test('a freed address is given to another only when nothing else is free, unless a definition asked for its rest', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    const tiny = { range: '10.0.0.0/30' };
    await n1.give(tiny, { container: 'a' });
    await n1.free('a');
    expect(await n2.give(tiny, { container: 'b' })).toEqual(['10.0.0.2']);
    expect(await n2.give(tiny, { container: 'c' })).toEqual(['10.0.0.1']);

    const slow = { range: '10.1.0.0/30', reuseDelay: '1h' };
    await n1.give(slow, { container: 'd' });
    await n1.give(slow, { container: 'e' });
    await n1.free('d');
    await expect(n2.give(slow, { container: 'f' })).rejects.toMatchObject({
      code: 'no-address',
      message: expect.stringMatching(
        /of 2 of 10\.1\.0\.1-10\.1\.0\.2 1 are held \(ns 1; by node: n1 1\); 1 rests, the first until 20/,
      ),
    });
    // Well before: the clock of the API server is known to the second.
    const past = timeText(Date.now() - 3_600_000);
    await change('10.1.0.1', (spec) => ({ ...spec, released: past, until: past }));
    expect(await n2.give(slow, { container: 'f' })).toEqual(['10.1.0.1']);
  });

  test('reuseDelay 0s deletes the lease at once', async () => {
    const n1 = node();
    await n1.give({ ...wide, reuseDelay: '0s' });
    await n1.free('c1');
    expect(await leasesOf(admin)).toEqual([]);
    expect(n1.rows()).toEqual([]);
  });

  test('a sticky address is kept for the next pod of a StatefulSet’s name, on whatever node, and for nobody else', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    const kept = { ...small, sticky: '10m' };
    const first = await n1.give(kept, { uid: 'db-0', container: 'a' });
    await n1.free('a');
    expect(await leasesOf(admin)).toEqual([`${first[0]} Sticky a n1`]);
    await expect(n2.give(small, { container: 'x', ip: first[0] ?? '' })).rejects.toMatchObject({
      code: 'address-held',
      message: expect.stringContaining('it is kept until'),
    });
    const again = claimRequest(kept, { uid: 'db-0', container: 'b' });
    const [grants] = await n2.store.claim([{ ...again, owner: 'another-uid' }], 'held');
    expect(grants).toHaveLength(1);
    expect(await leasesOf(admin)).toEqual([`${first[0]} Held b n2`]);
  });

  test('a freed lease rests a minute where no definition says more', async () => {
    const n1 = node();
    await n1.give(wide);
    const before = Date.now();
    await n1.free('c1');
    const [lease] = await readAll(admin);
    expect(Math.abs(Date.parse(lease?.spec.released ?? '') - before)).toBeLessThan(10_000);
    expect(Date.parse(lease?.spec.until ?? '') - Date.parse(lease?.spec.released ?? '')).toBe(60_000);
  });
});

describe('requested addresses', () => {
  test('a free one is given for one call; its owner may ask again; another is told who holds it', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    expect(await n1.give(small, { uid: 'u1', container: 'a', ip: '10.0.0.5' })).toEqual(['10.0.0.5']);
    expect(calls()).toEqual(['POST 201']);
    expect(await n1.give(small, { uid: 'u1', container: 'b', ip: '10.0.0.5' })).toEqual(['10.0.0.5']);
    await expect(n2.give(small, { uid: 'u2', container: 'c', ip: '10.0.0.5' })).rejects.toMatchObject({
      code: 'address-held',
      message: expect.stringMatching(
        /^Cannot give 10\.0\.0\.5 to pod ns\/u2 on network rail0: pod ns\/u1 on node n1 holds it as net1 on network rail0 since 20.*\(container b\)$/,
      ),
    });
    expect(n2.rows()).toEqual([]);
  });

  test('what a definition reserves is given to one pod in the cluster', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    const fixed = { addresses: [{ address: '10.0.0.9/24' }] };
    expect(await n1.give(fixed, { container: 'a' })).toEqual(['10.0.0.9']);
    await expect(n2.give(fixed, { container: 'b' })).rejects.toMatchObject({ code: 'address-held' });
  });
});

describe('owners', () => {
  test('static pods of one manifest have one UID on several nodes, and an address of their own each', async () => {
    const [n1, n2] = [node('n1'), node('n2')];
    const of = (container: string) => ({ uid: 'hash-of-the-manifest', container });
    const asked = { ...of('a'), ip: '10.0.0.5' };
    expect(await n1.give(small, asked)).toEqual(['10.0.0.5']);
    await expect(n2.give(small, { ...asked, container: 'b' })).rejects.toMatchObject({
      code: 'address-held',
      message: expect.stringContaining('on node n1 holds it'),
    });
    const reserved = { addresses: [{ address: '10.3.0.5/24' }] };
    expect(await n1.give(reserved, of('a'))).toEqual(['10.3.0.5']);
    await expect(n2.give(reserved, of('b'))).rejects.toMatchObject({ code: 'address-held' });
    expect(await n1.give({ range: '10.4.0.1/32' }, of('a'))).toEqual(['10.4.0.1']);
    await expect(n2.give({ range: '10.4.0.1/32' }, of('b'))).rejects.toMatchObject({ code: 'no-address' });
    // The next sandbox on its own node has all of them.
    expect(await n1.give(small, { ...asked, container: 'c' })).toEqual(['10.0.0.5']);
  });

  test('a DEL of an older container ends nothing that a newer one holds', async () => {
    const n1 = node();
    const [address] = await n1.give(wide, { uid: 'u1', container: 'old' });
    await n1.give(wide, { uid: 'u1', container: 'new' });
    await n1.free('old');
    expect(await leasesOf(admin)).toEqual([`${address} Held new n1`]);
  });

  test('a DEL that comes when another holds the address by now ends nothing', async () => {
    const n1 = node();
    const [address = ''] = await n1.give(wide, { container: 'a' });
    await change(address, (spec) => ({
      ...spec,
      phase: 'Resting',
      released: spec.acquired,
      until: spec.acquired,
    }));
    await change(address, ({ released: _r, until: _u, ...spec }) => ({
      ...spec,
      phase: 'Held',
      node: 'n2',
      owner: { ...spec.owner, uid: 'u9', containerID: 'z' },
    }));
    await n1.free('a');
    expect(await leasesOf(admin)).toEqual([`${address} Held z n2`]);
    expect(n1.rows()).toEqual([]);
  });

  test('two claims of one owner at once give one address', async () => {
    const n1 = node();
    const both = await Promise.all(
      ['a', 'b', 'c', 'd'].map((container) => n1.give(wide, { uid: 'u1', container })),
    );
    expect(new Set(both.flat()).size).toBe(1);
    expect(await readAll(admin)).toHaveLength(1);
  });

  test('what an owner asks for takes the place of what it had', async () => {
    const n1 = node();
    await n1.give(small, { uid: 'u1' });
    expect(await n1.give(small, { uid: 'u1', ip: '10.0.0.5' })).toEqual(['10.0.0.5']);
    expect(await leasesOf(admin)).toEqual(['10.0.0.2 Resting c1 n1', '10.0.0.5 Held c1 n1']);
  });

  test('a lease that somebody released by hand meanwhile is claimed anew, and one that is another’s by now is not', async () => {
    const n1 = node();
    const [address = ''] = await n1.give(wide, { uid: 'u1', container: 'a' });
    await admin.delete(IP_LEASES, address);
    expect(await n1.give(wide, { uid: 'u1', container: 'b' })).toEqual([address]);
    await admin.delete(IP_LEASES, address);
    await node('n2').give({ ...wide, addresses: [{ address: `${address}/12` }] }, { container: 'z' });
    const [other] = await n1.give(wide, { uid: 'u1', container: 'c' });
    expect(other).not.toBe(address);
    expect(n1.said.join()).toContain('somebody else');
  });

  test('GC ends the leases of a network that nobody names, and no others', async () => {
    const n1 = node();
    for (const container of ['a', 'b']) await n1.give(small, { container });
    await n1.give(small, { container: 'c', network: 'rail1' });
    await n1.give(small, { container: 'd' }, 'claimed');
    await n1.store.releaseAllBut('rail0', [{ containerId: 'a', ifname: 'net1' }]);
    expect(await leasesOf(admin)).toEqual([
      '10.0.0.2 Held a n1',
      '10.0.0.3 Resting b n1',
      '10.0.0.4 Held c n1',
      '10.0.0.5 Held d n1',
    ]);
  });
});

test('a wrong clock of the node shows in no time of a lease', async () => {
  const wrong = (client: KubeClient): KubeClient => {
    let asked = false;
    const seen =
      <A extends unknown[], T>(work: (...call: A) => Promise<T>) =>
      async (...call: A) => {
        const answer = await work(...call);
        asked = true;
        return answer;
      };
    // Before its first answer a client has only the machine's clock to go by.
    return {
      ...client,
      create: seen(client.create) as KubeClient['create'],
      replace: seen(client.replace) as KubeClient['replace'],
      now: () => (asked ? client.now() : Date.now() - 3_600_000),
    };
  };
  const n1 = node('n1', { client: wrong(openKubeClient(proxy.kubeconfig())) });
  await n1.give(wide);
  const fresh = node('n1', { client: wrong(openKubeClient(proxy.kubeconfig())), store: n1.node });
  await fresh.free('c1');
  const [lease] = await readAll(admin);
  const since = timeText(Date.now() - 60_000);
  for (const time of [lease?.spec.acquired, lease?.spec.released, lease?.spec.until])
    expect(time?.localeCompare(since)).toBe(1);
});
