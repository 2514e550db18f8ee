// The real servers are stopped: an API server that is killed under load, an etcd that answers nobody.
import { kill } from 'node:process';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/agent-node.ts';
import { burst, toldOf } from '../kit/claim-burst.ts';
import { callCluster, NodePlace, networkOn } from '../kit/cluster-call.ts';
import { withLeases } from '../kit/cluster-node.ts';
import { type ControlPlane, startControlPlane } from '../kit/control-plane/control-plane.ts';
import { expectHelpful, FaultWorld, IpamBundle } from '../kit/fault-world.ts';

let plane: ControlPlane;
let program: IpamBundle;
let world: FaultWorld;
beforeAll(async () => {
  plane = await startControlPlane();
  program = new IpamBundle();
  (await withLeases(plane)).close();
});
afterAll(async () => {
  program[Symbol.dispose]();
  await plane.close();
});
beforeEach(async () => {
  world = await FaultWorld.make(plane, program.command);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** An etcd that runs and answers nobody, as one without a quorum. */
async function withoutEtcd<T>(work: () => Promise<T>): Promise<T> {
  const pid = plane.pids.etcd ?? 0;
  kill(pid, 'SIGSTOP');
  try {
    return await work();
  } finally {
    kill(pid, 'SIGCONT');
  }
}

const isServing = async (): Promise<boolean> =>
  (await plane.request({ method: 'GET', path: '/readyz' })).status === 200;

test('etcd answers nobody: its own address for whom the node knows, "try later" for others, DEL is done later', async () => {
  const ipam = { range: '10.10.0.0/16' };
  const known = await world.good('ADD', 'known', ipam);
  await world.good('ADD', 'ends', ipam);
  await withoutEtcd(async () => {
    const [again, refused] = await Promise.all([
      world.call('ADD', 'known', ipam, 'b'),
      world.call('ADD', 'new', ipam),
      world.good('DEL', 'ends', ipam),
    ]);
    expect(again).toMatchObject({ code: 0, addresses: known });
    expectHelpful(refused, 11);
  });
  await eventually(isServing, (serves) => serves);
  world.node.startAgent();
  await world.good('DEL', 'new', ipam);
  await world.good('DEL', 'known', ipam, 'b');
  await eventually(
    () => world.left(),
    (left) => left.length === 0,
  );
});

test('etcd answers nobody for a moment while many claim: nobody is given what another has, and nothing is left', async () => {
  await expectNoneTwice('10.11.0.0/24', async () => {
    await withoutEtcd(() => new Promise((resolve) => setTimeout(resolve, 4000)));
  });
});

test('the API server is killed while many claim, and comes back: nobody is given what another has, and nothing is left', async () => {
  await expectNoneTwice('10.12.0.0/24', async () => {
    await plane.stopApiServer();
    await plane.startApiServer();
  });
});

test('etcd is killed while many claim, and comes back: nobody is given what another has, and nothing is left', async () => {
  await expectNoneTwice('10.13.0.0/24', async () => {
    await plane.stopEtcd();
    await plane.startEtcd();
  });
});

const MANY = 24;

/** `trouble` begins when a quarter of the claims is answered. */
async function expectNoneTwice(range: string, trouble: () => Promise<void>): Promise<void> {
  const [first = ''] = range.split('/');
  using place = new NodePlace(`servers-${first}`);
  const config = networkOn(place, plane.kubeconfig(), { range, reuseDelay: '0s' });
  const calls = Array.from({ length: MANY }, (_, index) => {
    const pod = { namespace: 'ns', name: `p-${index}`, uid: `uid-${first}-${index}` };
    return { verb: 'ADD', container: `${first}-${index}`, pod, config } as const;
  });
  let answered = 0;
  let over: Promise<void> | undefined;
  const answers = await burst(program.command, calls, {
    onOpen: () => undefined,
    onAnswer() {
      answered += 1;
      if (answered >= MANY / 4) over ??= trouble();
    },
  });
  await over;
  await eventually(isServing, (serves) => serves);
  expect(answers.filter(({ code }) => code !== 0)).toEqual([]);
  const told = toldOf(answers);
  const held = async () => {
    const { items } = await plane.api('GET', '/apis/ipam.manifold.dev/v1/ipleases');
    return (items as { spec: { address: string; node: string; owner: { containerID: string } } }[])
      .filter(({ spec }) => spec.node === place.name)
      .map(({ spec }) => `${spec.address} ${spec.owner.containerID}`)
      .sort();
  };
  expect(await held()).toEqual([...told].map(([address, index]) => `${address} ${first}-${index}`).sort());
  for (const call of calls)
    expect((await callCluster(program.command, { ...call, verb: 'DEL' })).code).toBe(0);
  expect(await held()).toEqual([]);
  expect(place.rows()).toEqual([]);
  expect(place.broken()).toEqual([]);
}
