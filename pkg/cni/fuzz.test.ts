import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BadCall, badCalls, type GoodCall } from '../../test/kit/bad-inputs.ts';
import { ATTACHMENT_ENV, callPlugin } from '../../test/kit/call-plugin.ts';
import { echoPlugin } from '../../test/kit/echo-plugin.ts';

const good: GoodCall = {
  env: { ...ATTACHMENT_ENV, CNI_COMMAND: 'ADD', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=p' },
  config: { cniVersion: '1.1.0', name: 'net', type: 'echo', mtu: 1400, ipam: { type: 'x' } },
  refused: {
    mtu: ['big', -1, 65536, 1.5, null, [], true],
    mode: ['tap', 1, {}],
    'ipam.type': ['', 1, null],
    'ipam.ranges': ['x', {}, 1],
    'manifold.logFile': ['relative', 1, ''],
  },
};

test('the call that the bad ones are made from is good', async () => {
  expect(await callPlugin(echoPlugin, good.env, good.config)).toMatchObject({ exitCode: 0 });
});

test('a bad call is answered with one error that names what is wrong, without a stack', async () => {
  await fc.assert(
    fc.asyncProperty(badCalls(good), async (bad: BadCall) => {
      const { exitCode, stdout, stderr, output } = await callPlugin(echoPlugin, bad.env, bad.stdin);
      expect(exitCode).toBe(1);
      expect(bad.codes).toContain(output?.code);
      expect(output?.cniVersion).toMatch(/^\d\.\d\.\d$/);
      const said = `${output?.msg} ${output?.details ?? ''}`;
      expect(bad.culprits.some((culprit) => said.includes(culprit))).toBe(true);
      expect(stdout + stderr).not.toMatch(/\n\s+at |\.ts:\d+/);
      expect(output?.msg).not.toContain('\n');
    }),
    { numRuns: 10_000, seed: 20_260_801 },
  );
});

test('any environment and any input is answered with an exit code, and JSON where it is not 0', async () => {
  const names = fc.constantFrom(...Object.keys(good.env), 'CNI_NETNS_OVERRIDE', 'PATH');
  const environment = fc.dictionary(
    names,
    fc.oneof(fc.string(), fc.constantFrom('ADD', 'DEL', 'GC', 'CHECK', 'c1')),
  );
  const input = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((value) => JSON.stringify({ ...good.config, ...(value as object) })),
    fc
      .dictionary(
        fc.constantFrom('name', 'prevResult', 'manifold', 'mtu', 'cni.dev/attachments'),
        fc.jsonValue(),
      )
      .map((keys) => JSON.stringify({ ...good.config, ...keys })),
  );
  await fc.assert(
    fc.asyncProperty(environment, input, async (env, stdin) => {
      const { exitCode, output } = await callPlugin(echoPlugin, { ...env }, stdin);
      if (exitCode === 0) return;
      expect(exitCode).toBe(1);
      expect(output).toMatchObject({ code: expect.any(Number), msg: expect.stringMatching(/./) });
      expect(output?.code).not.toBe(999);
    }),
    { numRuns: 3000, seed: 7 },
  );
});
