// Addresses: who holds one, and when it is free again, seen by asking until there are no more.
import { describe } from '../exec.ts';
import { isObject } from '../json.ts';
import { describeLinks, ip } from '../kernel-view.ts';
import { expectThat, fail, type Kind, notApplicable, type Row } from '../row.ts';
import type { Attachment, World } from '../world.ts';
import { addressOf, expectOneOne, gc } from './expect.ts';

const LEASES: readonly Kind[] = ['ipam', 'interface', 'meta'];
/** Ranges up to this size are filled, to see what is free. */
const SMALL = 12;

export const LEASE_ROWS: readonly Row[] = [
  {
    id: 'lease.exhausted',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'when every address is held, ADD is an error, and nobody gets an address that is held',
    kinds: LEASES,
    async try(world) {
      const held = await fill(world);
      const addresses = held.map(addressOf);
      expectThat(new Set(addresses).size === addresses.length, `given twice: ${addresses.join(' ')}`);
    },
  },
  {
    id: 'lease.del-frees',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL frees the address: when all others are held, it is given to the next',
    kinds: LEASES,
    async try(world) {
      const held = await fill(world);
      const freed = held[Math.floor(held.length / 2)] ?? fail('no address was given');
      await world.del(freed);
      const next = await world.add(await world.pod());
      expectThat(
        addressOf(next) === addressOf(freed),
        `${addressOf(freed)} was freed, ${addressOf(next)} given`,
      );
    },
  },
  {
    id: 'lease.del-frees-without-netns',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL frees the address also when the namespace is gone',
    kinds: LEASES,
    async try(world) {
      const held = await fill(world);
      const freed = held[0] ?? fail('no address was given');
      await world.deleteNamespace(freed.pod);
      await world.after('DEL', freed, { CNI_NETNS: undefined });
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
      expectThat(outcome.exitCode === 0, `ADD after DEL: ${describe(outcome)}`);
    },
  },
  {
    id: 'lease.del-of-another',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL of a container that holds nothing frees nothing of another',
    kinds: LEASES,
    async try(world) {
      await fill(world);
      await world.call('DEL', { pod: await world.pod(), conf: world.conf() });
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  {
    id: 'lease.gc-frees',
    level: 'SHOULD',
    section: '2 GC',
    sentence: 'GC frees the addresses of attachments that are not listed as valid',
    kinds: LEASES,
    async try(world) {
      expectOneOne(world);
      const [stale, ...valid] = await fill(world);
      if (stale === undefined) fail('no address was given');
      await gc(world, valid);
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
      expectThat(outcome.exitCode === 0, `ADD after GC: ${describe(outcome)}`);
    },
  },
  {
    id: 'lease.gc-keeps',
    level: 'MUST',
    section: '2 GC',
    sentence: 'GC keeps the addresses of attachments that are listed as valid',
    kinds: LEASES,
    async try(world) {
      expectOneOne(world);
      await gc(world, await fill(world));
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
      expectThat(outcome.exitCode !== 0, `ADD after GC: ${describe(outcome)}`);
    },
  },
  {
    id: 'lease.status-exhausted',
    level: 'SHOULD',
    section: '2 STATUS',
    sentence: 'STATUS is an error when every address is held',
    kinds: LEASES,
    async try(world) {
      expectOneOne(world);
      await fill(world);
      const outcome = await world.call('STATUS', { conf: world.conf() });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  {
    id: 'lease.exhausted-clean',
    level: 'SHOULD',
    section: '2 ADD',
    sentence: 'an ADD that gets no address leaves nothing in the container',
    kinds: ['interface', 'meta'],
    async try(world) {
      await fill(world);
      const pod = await world.pod();
      const outcome = await world.call('ADD', { pod, conf: world.conf() });
      const links = await world.linksOf(pod);
      expectThat(outcome.exitCode !== 0 && links.length === 0, `there is ${describeLinks(links)}`);
    },
  },
  {
    id: 'lease.failed-add-frees',
    level: 'MUST',
    section: '3 Lifecycle & Ordering',
    sentence: 'an ADD that fails since the interface name exists holds no address afterwards',
    kinds: ['interface', 'meta'],
    async try(world) {
      const [freed] = await fill(world);
      if (freed === undefined) fail('no address was given');
      await world.del(freed);
      const pod = await world.pod();
      await ip(pod.netnsName, 'link', 'add', pod.ifname, 'type', 'veth', 'peer', 'name', 'cnf-other');
      const failed = await world.call('ADD', { pod, conf: world.conf() });
      if (failed.exitCode === 0) fail('ADD succeeded');
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
      expectThat(outcome.exitCode === 0, `the next ADD: ${describe(outcome)}`);
    },
  },
];

/** Asks for addresses until there are no more. Ends the row for plugins of fixed addresses and for large ranges. */
async function fill(world: World): Promise<readonly Attachment[]> {
  if (!isObject(world.target.conf.ipam)) notApplicable('the configuration has no ipam');
  if (world.target.exclusive) notApplicable('only one attachment can be there at a time');
  const held: Attachment[] = [];
  for (let count = 0; count <= SMALL; count++) {
    const pod = await world.pod();
    const conf = world.conf();
    const outcome = await world.call('ADD', { pod, conf });
    if (outcome.exitCode !== 0) return held;
    const attachment = { pod, conf, result: JSON.parse(outcome.stdout) as Attachment['result'] };
    held.push(attachment);
  }
  const distinct = new Set(held.map(addressOf)).size;
  if (distinct > 1 && distinct < held.length) fail(`given twice: ${held.map(addressOf).join(' ')}`);
  if (held.every((attachment) => addressOf(attachment) === addressOf(held[0] ?? attachment))) {
    return notApplicable('it gives everybody the same address');
  }
  return notApplicable(`the range holds more than ${SMALL} addresses: give it a small one to see`);
}
