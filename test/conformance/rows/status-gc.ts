// STATUS and GC, which came with 1.1.0.
import { describe } from '../exec.ts';
import { stringOf } from '../json.ts';
import { describeLinks } from '../kernel-view.ts';
import { expectThat, notApplicable, type Row } from '../row.ts';
import { isAtLeast } from '../spec-versions.ts';
import type { World } from '../world.ts';
import { expectCode, expectOneOne, gc, VALID_ATTACHMENTS } from './expect.ts';

export const STATUS_GC_ROWS: readonly Row[] = [
  {
    id: 'status.usable',
    level: 'MUST',
    section: '2 STATUS',
    sentence: 'STATUS exits with 0 while ADD can be served, and needs no attachment',
    async try(world) {
      expectOneOne(world);
      const outcome = await world.call('STATUS', { conf: world.conf() });
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
  {
    id: 'status.quiet',
    level: 'SHOULD',
    section: '2 STATUS',
    sentence: 'STATUS that succeeds prints nothing on standard output',
    async try(world) {
      expectOneOne(world);
      const outcome = await world.call('STATUS', { conf: world.conf() });
      expectThat(outcome.exitCode === 0 && outcome.stdout.trim() === '', describe(outcome));
    },
  },
  {
    id: 'status.device-missing',
    level: 'SHOULD',
    section: '2 STATUS',
    sentence:
      'STATUS is an error when the device that the configuration names is missing, so that no ADD can be served',
    kinds: ['interface', 'meta'],
    async try(world) {
      expectOneOne(world);
      const key = ['master', 'device'].find((name) => stringOf(world.target.conf[name]));
      if (key === undefined) notApplicable('the configuration names no device');
      const conf = world.conf({ [key]: 'cnf-no-device' });
      const added = await world.call('ADD', { pod: await world.pod(), conf });
      if (added.exitCode === 0) notApplicable('ADD succeeds without that device');
      const outcome = await world.call('STATUS', { conf });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  {
    id: 'status.too-old',
    level: 'MUST',
    section: '2 STATUS',
    sentence: 'STATUS in a version before 1.1.0, which has none, is error 1',
    async try(world) {
      expectOneOne(world);
      await expectCode(world, 'STATUS', { cniVersion: newestBefore(world) }, 1);
    },
  },
  {
    id: 'gc.keeps-valid',
    level: 'MUST',
    section: '2 GC',
    sentence: 'GC leaves alone an attachment that is listed as valid',
    kinds: ['interface', 'meta', 'chained'],
    async try(world) {
      expectOneOne(world);
      const attachment = await world.add(await world.pod());
      const before = describeLinks(await world.linksOf(attachment.pod));
      await gc(world, [attachment]);
      const after = describeLinks(await world.linksOf(attachment.pod));
      expectThat(after === before, `before: ${before}; after: ${after || 'nothing'}`);
      const outcome = await world.after('CHECK', attachment);
      expectThat(outcome.exitCode === 0, `CHECK after GC: ${describe(outcome)}`);
    },
  },
  {
    id: 'gc.none-valid',
    level: 'MUST',
    section: '2 GC',
    sentence: 'GC with an empty list succeeds, with and without anything to free',
    async try(world) {
      expectOneOne(world);
      await gc(world, []);
      const attachment = await world.add(await world.pod());
      await world.deleteNamespace(attachment.pod);
      await gc(world, []);
    },
  },
  {
    id: 'gc.then-add',
    level: 'MUST',
    section: '2 GC',
    sentence: 'ADD works after GC freed everything, and DEL of what GC freed succeeds',
    async try(world) {
      expectOneOne(world);
      if (world.target.exclusive)
        notApplicable('a virtual device dies with the namespace that it was moved to');
      const freed = await world.add(await world.pod());
      await world.deleteNamespace(freed.pod);
      await gc(world, []);
      await world.add(await world.pod());
      const outcome = await world.after('DEL', freed);
      expectThat(outcome.exitCode === 0, `DEL of what GC freed: ${describe(outcome)}`);
    },
  },
  {
    id: 'gc.quiet',
    level: 'MUST',
    section: '2 GC',
    sentence: 'GC that succeeds prints nothing on standard output',
    async try(world) {
      expectOneOne(world);
      const outcome = await world.call('GC', { conf: world.conf({ [VALID_ATTACHMENTS]: [] }) });
      expectThat(outcome.exitCode === 0 && outcome.stdout.trim() === '', describe(outcome));
    },
  },
  {
    id: 'gc.too-old',
    level: 'MUST',
    section: '2 GC',
    sentence: 'GC in a version before 1.1.0, which has none, is error 1',
    async try(world) {
      expectOneOne(world);
      await expectCode(world, 'GC', { cniVersion: newestBefore(world), [VALID_ATTACHMENTS]: [] }, 1);
    },
  },
];

function newestBefore(world: World): string {
  return world.target.versions.findLast((version) => !isAtLeast(version, '1.1.0')) ?? '1.0.0';
}
