// VERSION, and cniVersion in every other verb's configuration.
import { describe, jsonOf } from '../exec.ts';
import { isObject } from '../json.ts';
import { expectThat, fail, type Row } from '../row.ts';
import type { Verb } from '../world.ts';
import { expectCode, expectOneOne } from './expect.ts';

const UNKNOWN = '99.0.0';

export const VERSION_ROWS: readonly Row[] = [
  {
    id: 'version.answers',
    level: 'MUST',
    section: '5 VERSION Success',
    sentence: 'VERSION prints supportedVersions, a list of version numbers, and exits with 0',
    async try(world) {
      const pod = await world.pod();
      const outcome = await world.call('VERSION', {
        conf: { cniVersion: world.target.newest },
        env: { ...world.environment('ADD', pod), CNI_COMMAND: 'VERSION' },
      });
      const json = jsonOf(outcome);
      if (outcome.exitCode !== 0 || !isObject(json)) fail(describe(outcome));
      const listed = json.supportedVersions;
      const good =
        Array.isArray(listed) &&
        listed.length > 0 &&
        listed.every((entry) => /^\d+\.\d+\.\d+$/.test(`${entry}`));
      expectThat(good, `supportedVersions is ${JSON.stringify(listed)}`);
    },
  },
  {
    id: 'version.cniVersion',
    level: 'MUST',
    section: '5 VERSION Success',
    sentence: 'VERSION answers with the cniVersion that stood on its input',
    async try(world) {
      for (const cniVersion of world.target.versions) {
        const json = jsonOf(await world.call('VERSION', { conf: { cniVersion } }));
        const seen = isObject(json) ? json.cniVersion : undefined;
        expectThat(seen === cniVersion, `asked in ${cniVersion}, answered in ${JSON.stringify(seen)}`);
      }
    },
  },
  {
    id: 'version.only-command',
    level: 'MUST',
    section: '2 VERSION',
    sentence: 'VERSION needs no variable but CNI_COMMAND',
    async try(world) {
      const outcome = await world.call('VERSION', { conf: { cniVersion: world.target.newest } });
      expectThat(outcome.exitCode === 0, describe(outcome));
    },
  },
  {
    id: 'version.unknown-asker',
    level: 'SHOULD',
    section: '2 VERSION',
    sentence: 'VERSION answers a caller whose own cniVersion the plugin does not know',
    async try(world) {
      const outcome = await world.call('VERSION', { conf: { cniVersion: UNKNOWN } });
      const json = jsonOf(outcome);
      expectThat(
        outcome.exitCode === 0 && isObject(json) && Array.isArray(json.supportedVersions),
        describe(outcome),
      );
    },
  },
  ...(['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'] as const).map(unsupported),
];

function unsupported(verb: Verb): Row {
  return {
    id: `version.unsupported-${verb}`,
    level: 'MUST',
    section: '5 Error',
    sentence: `${verb} in a cniVersion that the plugin does not support is error 1`,
    async try(world) {
      if (verb === 'STATUS' || verb === 'GC') expectOneOne(world);
      await expectCode(world, verb, { cniVersion: UNKNOWN }, 1);
    },
  };
}
