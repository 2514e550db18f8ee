import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkState } from '../../pkg/state/check-state.ts';
import type { NodeStore } from '../../pkg/state/node-store.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';
import { bundleIpam, callIpam, ipamNetwork } from './ipam-program.ts';

let bundles: string;
let program: string;
let root: string;

beforeAll(() => {
  bundles = mkdtempSync(join(tmpdir(), 'manifold-bundle-'));
  program = bundleIpam(bundles);
});
afterAll(() => rmSync(bundles, { recursive: true }));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'manifold-races-'));
});
afterEach(() => {
  withStore((store) => expect(checkState(store).broken).toEqual([]));
  rmSync(root, { recursive: true });
});

function withStore<T>(work: (store: NodeStore) => T): T {
  const store = openNodeStore(join(root, 'state'));
  try {
    return work(store);
  } finally {
    store.close();
  }
}

/** Of 16 processes each. */
const WAVES = 4;

/** The first of each wave dies before it has begun, on any machine; the others anywhere. */
const killAfterMs = (i: number) => (i === 0 ? 5 : 20 + Math.random() * 400);

const heldIn = (store: NodeStore) => store.leases.all().filter((lease) => lease.state !== 'resting');
const range = (length: number, first = 1) => ({ range: `10.0.0.${first}-10.0.0.${first + length - 1}/24` });

test('64 processes at once ask one range of 60 for addresses: 60 get one each, 4 are told that it is exhausted', async () => {
  const config = ipamNetwork(root, range(60));
  const answers = await Promise.all(
    Array.from({ length: 64 }, (_, i) => callIpam(program, { verb: 'ADD', container: `c${i}`, config })),
  );
  const given = answers.flatMap((answer) => answer.address ?? []);
  expect(new Set(given).size).toBe(60);
  expect(given).toHaveLength(60);
  const refused = answers.filter((answer) => answer.address === undefined);
  expect(
    refused.map((answer) => answer.msg?.includes('all 60 of 10.0.0.1-10.0.0.60 are held (ns 60)')),
  ).toEqual([true, true, true, true]);
});

test('64 processes over two overlapping ranges: no address twice, and none refused while its range has one free', async () => {
  const ranges = [range(40), range(40, 25)];
  const answers = await Promise.all(
    Array.from({ length: 64 }, async (_, i) => {
      const config = ipamNetwork(root, ranges[i % 2] ?? {}, `rail${i % 2}`);
      return { network: i % 2, ...(await callIpam(program, { verb: 'ADD', container: `c${i}`, config })) };
    }),
  );
  const given = answers.flatMap((answer) => answer.address ?? []);
  expect(new Set(given).size).toBe(given.length);
  const last = new Set(given.map((address) => Number(/(\d+)\/24$/.exec(address)?.[1])));
  for (const { address, msg, network } of answers) {
    if (address !== undefined) continue;
    expect(msg).toContain(`no address of network rail${network} is free`);
    const [first, end] = network === 0 ? [1, 40] : [25, 64];
    for (let value = first; value <= end; value++) expect(last.has(value)).toBe(true);
  }
  expect(given.length).toBeGreaterThanOrEqual(56);
});

test('a third of 64 processes is killed in the middle; a second ADD of each pod gives each its address, and DELs free all', async () => {
  const config = ipamNetwork(root, range(64));
  const add = (i: number, sandbox: string, killed?: number) =>
    callIpam(program, {
      verb: 'ADD',
      container: `c${i}-${sandbox}`,
      uid: `u${i}`,
      config,
      ...(killed !== undefined && { killAfterMs: killed }),
    });
  const answers: { address: string | undefined; code: number | null }[] = [];
  for (let wave = 0; wave < WAVES; wave++)
    answers.push(
      ...(await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          add(wave * 16 + i, 'a', i % 3 === 0 ? killAfterMs(i) : undefined),
        ),
      )),
    );
  expect(answers.filter((answer) => answer.code === null).length).toBeGreaterThan(0);
  const before = withStore((store) => {
    expect(checkState(store).broken).toEqual([]);
    return new Map(heldIn(store).map((lease) => [lease.owner, lease.address]));
  });
  expect(new Set(before.values()).size).toBe(before.size);
  for (const [i, answer] of answers.entries())
    if (answer.address !== undefined) expect(`${before.get(`u${i}`)}/24`).toBe(answer.address);

  for (let wave = 0; wave < WAVES; wave++) {
    const again = await Promise.all(Array.from({ length: 16 }, (_, i) => add(wave * 16 + i, 'b')));
    for (const [i, answer] of again.entries()) {
      const had = before.get(`u${wave * 16 + i}`);
      if (had !== undefined) expect(answer.address).toBe(`${had}/24`);
      else expect(answer.address).toBeDefined();
    }
  }
  withStore((store) => expect(new Set(heldIn(store).map((lease) => lease.address)).size).toBe(64));

  // The DELs of the first sandboxes come late, those of the second free.
  for (const sandbox of ['a', 'b']) {
    for (let wave = 0; wave < (sandbox === 'a' ? 1 : WAVES); wave++)
      await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          callIpam(program, { verb: 'DEL', container: `c${wave * 16 + i}-${sandbox}`, config }),
        ),
      );
    withStore((store) => expect(heldIn(store)).toHaveLength(sandbox === 'a' ? 64 : 0));
  }
});
