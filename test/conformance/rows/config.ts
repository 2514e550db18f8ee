// The network configuration on standard input, and the form of an error.
import { describe, errorOf, jsonOf, type Outcome } from '../exec.ts';
import { isObject, type Json } from '../json.ts';
import { expectThat, type Row } from '../row.ts';
import type { World } from '../world.ts';

export const CONFIG_ROWS: readonly Row[] = [
  {
    id: 'config.bad-json',
    level: 'MUST',
    section: '5 Error',
    sentence: 'a configuration that is not JSON is error 6',
    async try(world) {
      for (const stdin of ['{"cniVersion": "1.0.0", "name": ', 'no json', '{}{}']) {
        const outcome = await world.call('ADD', { pod: await world.pod(), stdin });
        const good = outcome.exitCode !== 0 && errorOf(outcome)?.code === 6;
        expectThat(good, `standard input ${JSON.stringify(stdin)}: ${describe(outcome)}`);
      }
    },
  },
  {
    id: 'config.empty-input',
    level: 'MUST',
    section: '5 Error',
    sentence: 'an empty standard input is error 5 or 6',
    async try(world) {
      await expectCodes(world, '', [5, 6]);
    },
  },
  {
    id: 'config.not-object',
    level: 'MUST',
    section: '1 Configuration format',
    sentence: 'a configuration that is JSON but no object is error 6 or 7',
    async try(world) {
      for (const stdin of ['[]', '"text"', '42']) await expectCodes(world, stdin, [6, 7]);
    },
  },
  {
    id: 'config.missing-name',
    level: 'MUST',
    section: '1 Configuration format',
    sentence: 'a configuration without a name is an error',
    async try(world) {
      await expectCodes(world, JSON.stringify(world.conf({ name: undefined })), [6, 7]);
    },
  },
  {
    id: 'config.bad-name',
    level: 'MUST',
    section: '1 Configuration format',
    sentence: 'a network name of characters that the specification does not allow is an error',
    async try(world) {
      for (const name of ['../up', 'a/b', '-leading', 'two words']) {
        await expectCodes(world, JSON.stringify(world.conf({ name })), [6, 7]);
      }
    },
  },
  {
    id: 'config.unknown-keys',
    level: 'SHOULD',
    section: '1 Version considerations',
    sentence:
      'unknown keys of the configuration are accepted, since it is compatible both ways within a major version',
    async try(world) {
      const conf = world.conf({ 'com.example/frob': { deep: [1, { er: null }] }, unknownKey: true });
      const attachment = await world.add(await world.pod(), conf);
      await world.del(attachment);
    },
  },
  {
    id: 'config.reserved-keys',
    level: 'MUST',
    section: '3 Deriving request configuration',
    sentence: 'what a runtime puts in is accepted: args, runtimeConfig and keys that begin with cni.dev/',
    async try(world) {
      const own = world.conf();
      const runtimeConfig = isObject(own.runtimeConfig) ? own.runtimeConfig : {};
      const conf = world.conf({
        args: { ...(isObject(own.args) ? own.args : {}), 'example.com': { labels: [] } },
        runtimeConfig: { ...runtimeConfig, 'example.com/frob': {} },
        'cni.dev/attachments': [],
      });
      await world.del(await world.add(await world.pod(), conf));
    },
  },
  {
    id: 'error.exit-code',
    level: 'MUST',
    section: '2 Errors',
    sentence: 'a plugin that fails exits with another code than 0',
    async try(world) {
      for (const outcome of await failures(world)) expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  shape('json', 'an error is one JSON object on standard output', () => true),
  shape('code', 'an error has a numeric code of the table, or of 100 and above', ({ code }) => isCode(code)),
  shape('msg', 'an error has a message', ({ msg }) => typeof msg === 'string' && msg !== ''),
  shape('cniVersion', 'an error has a cniVersion', ({ cniVersion }) =>
    /^\d+\.\d+\.\d+$/.test(`${cniVersion}`),
  ),
];

async function expectCodes(world: World, stdin: string, codes: readonly number[]): Promise<void> {
  const outcome = await world.call('ADD', { pod: await world.pod(), stdin });
  const code = errorOf(outcome)?.code;
  const good = outcome.exitCode !== 0 && code !== undefined && codes.includes(code);
  expectThat(good, `standard input ${stdin.slice(0, 60) || 'empty'}: ${describe(outcome)}`);
}

/** Calls that must fail, each for a reason of its own. */
async function failures(world: World): Promise<readonly Outcome[]> {
  const pod = await world.pod();
  return [
    await world.call('ADD', { pod, stdin: '{' }),
    await world.call('ADD', { pod, conf: world.conf({ name: undefined }) }),
    await world.call('ADD', { pod, conf: world.conf({ cniVersion: '99.0.0' }) }),
    await world.call('ADD', { pod, conf: world.conf(), env: { CNI_IFNAME: undefined } }),
  ];
}

function shape(
  part: string,
  sentence: string,
  good: (error: Readonly<Record<string, Json | undefined>>) => boolean,
): Row {
  return {
    id: `error.${part}`,
    level: 'SHOULD',
    section: '5 Error',
    sentence,
    async try(world) {
      for (const outcome of await failures(world)) {
        const json = jsonOf(outcome);
        expectThat(isObject(json) && good(json), describe(outcome));
      }
    },
  };
}

function isCode(code: Json | undefined): boolean {
  const known = [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51];
  return Number.isInteger(code) && (known.includes(Number(code)) || Number(code) >= 100);
}
