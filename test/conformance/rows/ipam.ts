// IPAM plugins: what their result and their CHECK must be.
import { describe } from '../exec.ts';
import { objectsOf } from '../json.ts';
import { describeLinks } from '../kernel-view.ts';
import { expectThat, type Kind, notApplicable, type Row } from '../row.ts';
import { isAtLeast } from '../spec-versions.ts';
import type { Attachment } from '../world.ts';
import { addressOf } from './expect.ts';

const IPAM: readonly Kind[] = ['ipam'];

export const IPAM_ROWS: readonly Row[] = [
  {
    id: 'ipam.abbreviated-result',
    level: 'MUST',
    section: '5 Delegated plugins (IPAM)',
    sentence: 'the result has addresses, no interfaces, and no interface of an address',
    kinds: IPAM,
    async try(world) {
      const { result } = await world.add(await world.pod());
      const ips = objectsOf(result.ips);
      expectThat(ips.length > 0, 'no addresses');
      const bare = result.interfaces === undefined && ips.every((entry) => entry.interface === undefined);
      expectThat(bare, JSON.stringify(result));
    },
  },
  {
    id: 'ipam.kernel-untouched',
    level: 'MUST',
    section: '4 Plugin Delegation',
    sentence: 'an IPAM plugin leaves the container to the plugin that called it',
    kinds: IPAM,
    async try(world) {
      const pod = await world.pod();
      await world.add(pod);
      const links = await world.linksOf(pod);
      expectThat(links.length === 0, `there is ${describeLinks(links)}`);
    },
  },
  {
    id: 'ipam.asked-twice',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'the same container and interface asking again never holds two addresses',
    kinds: IPAM,
    async try(world) {
      const first = await world.add(await world.pod());
      const outcome = await world.call('ADD', { pod: first.pod, conf: first.conf });
      if (outcome.exitCode !== 0) return;
      const again = addressOf({ result: JSON.parse(outcome.stdout) as Attachment['result'] });
      expectThat(again === addressOf(first), `first ${addressOf(first)}, then ${again}`);
    },
  },
  {
    id: 'ipam.check-released',
    level: 'SHOULD',
    section: '2 CHECK',
    sentence: 'CHECK is an error when the reservation is gone',
    kinds: IPAM,
    async try(world) {
      if (!isAtLeast(world.target.newest, '0.4.0'))
        notApplicable('the plugin supports no version that has CHECK');
      const attachment = await world.add(await world.pod());
      await world.del(attachment);
      const outcome = await world.after('CHECK', attachment);
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
];
