// CHECK: silent while all is as ADD left it, and an error when something of it is gone.
import { describe } from '../exec.ts';
import { type JsonObject, objectsOf } from '../json.ts';
import { ip } from '../kernel-view.ts';
import { expectThat, type Kind, notApplicable, type Row } from '../row.ts';
import { isAtLeast } from '../spec-versions.ts';
import type { Attachment, World } from '../world.ts';
import { expectCode } from './expect.ts';

const MAKES_INTERFACE: readonly Kind[] = ['interface', 'meta'];

export const CHECK_ROWS: readonly Row[] = [
  {
    id: 'check.after-add',
    level: 'MUST',
    section: '2 CHECK',
    sentence: 'CHECK right after ADD succeeds, in every version that has it',
    async try(world) {
      for (const cniVersion of checkable(world)) {
        const attachment = await world.add(await world.pod(), world.conf({ cniVersion }));
        const outcome = await world.after('CHECK', attachment);
        expectThat(outcome.exitCode === 0, `in ${cniVersion}: ${describe(outcome)}`);
        await world.del(attachment);
      }
    },
  },
  {
    id: 'check.repeated',
    level: 'MUST',
    section: '3 Checking an attachment',
    sentence: 'CHECK can be called again and again',
    async try(world) {
      checkable(world);
      const attachment = await world.add(await world.pod());
      for (let turn = 1; turn <= 3; turn++) {
        const outcome = await world.after('CHECK', attachment);
        expectThat(outcome.exitCode === 0, `call ${turn}: ${describe(outcome)}`);
      }
    },
  },
  {
    id: 'check.quiet',
    level: 'SHOULD',
    section: '2 CHECK',
    sentence: 'CHECK that succeeds prints nothing on standard output',
    async try(world) {
      checkable(world);
      const outcome = await world.after('CHECK', await world.add(await world.pod()));
      expectThat(outcome.exitCode === 0 && outcome.stdout.trim() === '', describe(outcome));
    },
  },
  {
    id: 'check.no-prev-result',
    level: 'MUST',
    section: '2 CHECK',
    sentence: 'CHECK without a prevResult is an error, since the expected state is in it',
    kinds: [...MAKES_INTERFACE, 'chained'],
    async try(world) {
      checkable(world);
      const { pod, conf } = await world.add(await world.pod());
      const outcome = await world.call('CHECK', { pod, conf });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  {
    id: 'check.too-old',
    level: 'MUST',
    section: '2 CHECK',
    sentence: 'CHECK in a version before 0.4.0, which has none, is error 1',
    async try(world) {
      const old = world.target.versions.findLast((version) => !isAtLeast(version, '0.4.0'));
      await expectCode(world, 'CHECK', { cniVersion: old ?? '0.3.1' }, 1);
    },
  },
  spoiled('interface-gone', 'the interface is gone', async (world, { pod }) => world.deleteLink(pod)),
  spoiled('interface-renamed', 'the interface has another name', async (_, { pod }) => {
    await ip(pod.netnsName, 'link', 'set', pod.ifname, 'down');
    await ip(pod.netnsName, 'link', 'set', pod.ifname, 'name', 'cnf-renamed');
  }),
  spoiled('address-gone', 'an address is gone', async (_, { pod, result }) => {
    const address = objectsOf(result.ips)[0]?.address;
    if (address === undefined) notApplicable('the result has no addresses');
    await ip(pod.netnsName, 'addr', 'del', `${address}`, 'dev', pod.ifname);
  }),
  spoiled('route-gone', 'a route is gone', async (_, { pod, result }) => {
    const dst = objectsOf(result.routes)[0]?.dst;
    if (dst === undefined) notApplicable('the result has no routes');
    await ip(pod.netnsName, `${dst}`.includes(':') ? '-6' : '-4', 'route', 'del', `${dst}`);
  }),
  spoiled('mac-changed', 'the interface has another hardware address', async (_, { pod, result }) => {
    const own = objectsOf(result.interfaces).find(({ name }) => name === pod.ifname);
    if (own?.mac === undefined) notApplicable('the result has no mac');
    await ip(pod.netnsName, 'link', 'set', pod.ifname, 'address', '02:00:5e:10:00:01');
  }),
  {
    id: 'check.later-plugin',
    level: 'MUST',
    section: '2 CHECK',
    sentence: 'CHECK allows what a later plugin of the chain added: an address and a route more',
    kinds: MAKES_INTERFACE,
    async try(world) {
      checkable(world);
      const attachment = await world.add(await world.pod());
      const { pod } = attachment;
      await ip(pod.netnsName, 'link', 'set', pod.ifname, 'up');
      await ip(pod.netnsName, 'addr', 'add', '198.51.100.9/24', 'dev', pod.ifname);
      await ip(pod.netnsName, 'route', 'add', '203.0.113.0/24', 'via', '198.51.100.1');
      const outcome = await world.after('CHECK', withAddress(attachment, '198.51.100.9/24'));
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
];

/** The versions to call CHECK in; ends the row where there are none. */
function checkable(world: World) {
  const versions = world.target.versions.filter((version) => isAtLeast(version, '0.4.0'));
  return versions.length > 0 ? versions : notApplicable('the plugin supports no version that has CHECK');
}

function spoiled(
  what: string,
  sentence: string,
  spoil: (world: World, at: Attachment) => Promise<void>,
): Row {
  return {
    id: `check.${what}`,
    level: 'SHOULD',
    section: '2 CHECK',
    sentence: `CHECK is an error when ${sentence}`,
    kinds: MAKES_INTERFACE,
    async try(world) {
      checkable(world);
      const attachment = await world.add(await world.pod());
      await spoil(world, attachment);
      const outcome = await world.after('CHECK', attachment);
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  };
}

/** The final result of a chain whose last plugin gave the interface one address more. */
function withAddress(attachment: Attachment, address: string): Attachment {
  const interfaces = objectsOf(attachment.result.interfaces);
  const index = interfaces.findIndex(({ name }) => name === attachment.pod.ifname);
  const version = isAtLeast(`${attachment.result.cniVersion}`, '1.0.0') ? {} : { version: '4' };
  const more: JsonObject = { ...version, address, interface: index };
  return {
    ...attachment,
    result: { ...attachment.result, ips: [...objectsOf(attachment.result.ips), more] },
  };
}
