// DEL: it takes away what ADD made, and nothing that is missing is an error.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from '../exec.ts';
import { describeLinks, readLinks } from '../kernel-view.ts';
import { expectThat, fail, type Kind, notApplicable, type Row } from '../row.ts';
import type { CallOptions, World } from '../world.ts';

const MAKES_INTERFACE: readonly Kind[] = ['interface', 'meta'];

export const DEL_ROWS: readonly Row[] = [
  {
    id: 'del.removes',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL takes the interface away again, or undoes what ADD changed',
    kinds: [...MAKES_INTERFACE, 'chained'],
    async try(world) {
      const pod = await world.pod();
      const before = describeLinks(await world.linksOf(pod));
      await world.del(await world.add(pod));
      const after = describeLinks(await world.linksOf(pod));
      expectThat(after === before, `before ADD: ${before || 'nothing'}; after DEL: ${after || 'nothing'}`);
    },
  },
  {
    id: 'del.host-side',
    level: 'SHOULD',
    section: '2 DEL',
    sentence: 'DEL leaves the host as it was before ADD; what several attachments share may stay',
    kinds: [...MAKES_INTERFACE, 'chained'],
    async try(world) {
      if (world.host === undefined) notApplicable('the real host changes by itself');
      if (!world.target.exclusive) await world.add(await world.pod());
      const pod = await world.pod();
      const before = describeLinks(await readLinks(world.host));
      await world.del(await world.add(pod));
      const after = describeLinks(await readLinks(world.host));
      expectThat(after === before, `before ADD: ${before}; after DEL: ${after}`);
    },
  },
  {
    id: 'del.other-container',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL for one container leaves the interface of another in place',
    kinds: MAKES_INTERFACE,
    async try(world) {
      if (world.target.exclusive) notApplicable('only one attachment can be there at a time');
      const other = await world.add(await world.pod());
      const before = describeLinks(await world.linksOf(other.pod));
      await world.del(await world.add(await world.pod()));
      const after = describeLinks(await world.linksOf(other.pod));
      expectThat(after === before, `before: ${before}; after: ${after || 'nothing'}`);
    },
  },
  {
    id: 'del.twice',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'a second DEL of the same attachment succeeds',
    async try(world) {
      const attachment = await world.add(await world.pod());
      await world.del(attachment);
      const outcome = await world.after('DEL', attachment);
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
  {
    id: 'del.never-added',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL of a container that was never added succeeds',
    async try(world) {
      const pod = await world.pod();
      const prevResult = pod.prevResult === undefined ? {} : { prevResult: pod.prevResult };
      const outcome = await world.call('DEL', { pod, conf: world.conf(prevResult) });
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
  delWith('netns-absent', 'DEL without CNI_NETNS succeeds', { env: { CNI_NETNS: undefined } }),
  delWith('netns-empty', 'DEL with an empty CNI_NETNS succeeds', { env: { CNI_NETNS: '' } }),
  {
    id: 'del.netns-deleted',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL after the namespace was deleted succeeds',
    async try(world) {
      const attachment = await world.add(await world.pod());
      await world.deleteNamespace(attachment.pod);
      const outcome = await world.after('DEL', attachment);
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
  {
    id: 'del.netns-deleted-host-side',
    level: 'SHOULD',
    section: '2 DEL',
    sentence: 'after the namespace was deleted, DEL cleans up what is on the host',
    kinds: MAKES_INTERFACE,
    async try(world) {
      if (world.host === undefined) notApplicable('the real host changes by itself');
      if (world.target.exclusive)
        notApplicable('a virtual device dies with the namespace that it was moved to');
      await world.add(await world.pod());
      const before = describeLinks(await readLinks(world.host));
      const attachment = await world.add(await world.pod());
      await world.deleteNamespace(attachment.pod);
      await world.del(attachment);
      await expectSoon(world, before);
    },
  },
  {
    id: 'del.interface-gone',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL succeeds when somebody took the interface away',
    kinds: [...MAKES_INTERFACE, 'chained'],
    async try(world) {
      const attachment = await world.add(await world.pod());
      await world.deleteLink(attachment.pod);
      const outcome = await world.after('DEL', attachment);
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
  {
    id: 'del.no-prev-result',
    level: 'MUST',
    section: '2 DEL',
    sentence: 'DEL without a prevResult succeeds and takes the interface away',
    async try(world) {
      const { pod, conf } = await world.add(await world.pod());
      const outcome = await world.call('DEL', { pod, conf });
      expectThat(outcome.exitCode === 0, describe(outcome));
      if (world.target.kind === 'chained') return;
      const links = await world.linksOf(pod);
      if (links.length > 0) fail(`left behind: ${describeLinks(links)}`);
    },
  },
  {
    id: 'del.quiet',
    level: 'SHOULD',
    section: '2 DEL',
    sentence: 'DEL that succeeds prints nothing on standard output',
    async try(world) {
      const outcome = await world.after('DEL', await world.add(await world.pod()));
      expectThat(outcome.stdout.trim() === '' && outcome.exitCode === 0, describe(outcome));
    },
  },
];

function delWith(what: string, sentence: string, options: CallOptions): Row {
  return {
    id: `del.${what}`,
    level: 'MUST',
    section: '2 DEL',
    sentence,
    async try(world) {
      const attachment = await world.add(await world.pod());
      const outcome = await world.after('DEL', attachment, options.env);
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  };
}

/** The kernel takes a namespace down some time after its name is gone, and a veth's other end with it. */
async function expectSoon(world: World, before: string): Promise<void> {
  let after = '';
  for (let turn = 0; turn < 100; turn++) {
    after = describeLinks(await readLinks(world.host));
    if (after === before) return;
    await sleep(50);
  }
  fail(`before ADD: ${before}; after DEL: ${after}`);
}
