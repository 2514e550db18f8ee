import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ATTACHMENT_ENV, callPlugin } from '../../test/kit/call-plugin.ts';
import { echoPlugin } from '../../test/kit/echo-plugin.ts';
import { SUPPORTED_VERSIONS } from './versions.ts';

const env = (CNI_COMMAND: string) => ({ ...ATTACHMENT_ENV, CNI_COMMAND });
const config = { cniVersion: '1.1.0', name: 'net', type: 'echo' };
const interfaces = [{ name: 'eth0', mtu: 1500, sandbox: '/run/netns/none' }];

describe('the configuration', () => {
  test.each([
    ['', 6, 'it is empty'],
    ['{"name":', 6, 'JSON'],
    ['[1]', 6, 'it is no object'],
    ['{"cniVersion":"1.1.0"}', 7, "'name'"],
    ['{"cniVersion":"1.1.0","name":"a/b"}', 7, "'name'"],
    ['{"cniVersion":"1.1.0","name":3}', 7, "'name'"],
    ['{"cniVersion":1.1,"name":"a"}', 6, "'cniVersion'"],
    ['{"cniVersion":"2.0.0","name":"a"}', 1, '"2.0.0"'],
    [`{"name":"a","x":${'['.repeat(101)}${']'.repeat(101)}}`, 6, '100 levels'],
    [`{"name":"a","x":"${'x'.repeat(16 * 1024 * 1024)}"}`, 6, 'longer than'],
  ])('%.60s is refused', async (stdin, code, part) => {
    const { exitCode, output } = await callPlugin(echoPlugin, env('ADD'), stdin);
    expect(exitCode).toBe(1);
    expect(output).toMatchObject({ code });
    expect(output?.msg).toContain(part);
  });

  test('an unknown version is answered with those that are known, in the newest', async () => {
    const { output } = await callPlugin(echoPlugin, env('ADD'), { ...config, cniVersion: '9.0.0' });
    expect(output?.cniVersion).toBe('1.1.0');
    expect(output?.details).toContain(SUPPORTED_VERSIONS.join(', '));
  });

  test('without cniVersion the first version of the specification is spoken', async () => {
    const answer = { ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1' }] };
    const { output } = await callPlugin(echoPlugin, env('ADD'), { name: 'net', answer });
    expect(output).toEqual({ cniVersion: '0.1.0', ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1' } });
  });

  test('every bad key is named by its path, the first in the message and the others in the details', async () => {
    const bad = { ...config, mtu: 'big', mode: 'tap', ipam: { ranges: [{ subnet: 'x' }, { gateway: 1 }] } };
    const { output } = await callPlugin(echoPlugin, env('ADD'), bad);
    expect(output).toMatchObject({
      code: 7,
      msg: 'Cannot use \'mtu\' as it must be an integer from 0 to 65535: current value is "big"',
    });
    expect(String(output?.details).split('; ')).toEqual([
      'Cannot use \'mode\' as it must be one of "bridge", "private": current value is "tap"',
      "Cannot use 'ipam.ranges[1].subnet' as it must be set: it is missing",
      "Cannot use 'ipam.ranges[1].gateway' as it must be a string: current value is 1",
    ]);
  });

  test('a key that looks misspelt is named in the log, with the key that may be meant', async () => {
    const { exitCode, stderr } = await callPlugin(echoPlugin, env('ADD'), { ...config, mut: 1, own: 2 });
    expect(exitCode).toBe(0);
    expect(
      stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([expect.objectContaining({ level: 'warn', event: 'unknown key', key: 'mut', meant: 'mtu' })]);
  });

  test('the log file gets the lines too; one that cannot be written does not fail the call', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'manifold-log-'));
    try {
      const logFile = join(directory, 'log');
      await callPlugin(echoPlugin, env('ADD'), { ...config, mut: 1, manifold: { logFile } });
      expect(readFileSync(logFile, 'utf8')).toContain('"key":"mut"');
      const lost = { ...config, mut: 1, manifold: { logFile: join(directory, 'no/log') } };
      const { exitCode, stderr } = await callPlugin(echoPlugin, env('ADD'), lost);
      expect(exitCode).toBe(0);
      expect(stderr).toContain('log file not written');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('a bad `manifold` object is refused even by a plugin whose schema does not have it', async () => {
    const { output } = await callPlugin(echoPlugin, env('ADD'), {
      ...config,
      manifold: { stateDir: 'here' },
    });
    expect(output).toMatchObject({
      code: 7,
      msg: 'Cannot use \'manifold.stateDir\' as it must be an absolute path: current value is "here"',
    });
    expect(output).not.toHaveProperty('details');
  });
});

describe('the verbs', () => {
  test.each(SUPPORTED_VERSIONS)('ADD answers in version %s when asked in it', async (cniVersion) => {
    const { exitCode, output } = await callPlugin(echoPlugin, env('ADD'), { ...config, cniVersion });
    expect(exitCode).toBe(0);
    expect(output?.cniVersion).toBe(cniVersion);
  });

  test('ADD gives what a plugin before it in the chain has made', async () => {
    const prevResult = { cniVersion: '1.1.0', interfaces };
    const { output } = await callPlugin(echoPlugin, env('ADD'), { ...config, prevResult });
    expect(output).toEqual(prevResult);
  });

  test('a prevResult that is wrong is named by its key', async () => {
    const prevResult = { ips: [{ address: '10.0.0.1/33' }] };
    const { output } = await callPlugin(echoPlugin, env('ADD'), { ...config, prevResult });
    expect(output).toMatchObject({ code: 7 });
    expect(output?.msg).toContain("'prevResult.ips[0].address'");
  });

  test('DEL goes on without a prevResult that it cannot read, and without a namespace', async () => {
    const { exitCode, stdout } = await callPlugin(
      echoPlugin,
      { ...env('DEL'), CNI_NETNS: undefined },
      { ...config, prevResult: { ips: 'x' } },
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
  });

  test('CHECK needs the result of ADD', async () => {
    const without = await callPlugin(echoPlugin, env('CHECK'), config);
    expect(without.output).toMatchObject({ code: 7 });
    expect(without.output?.msg).toContain('prevResult');
    const prevResult = { cniVersion: '1.1.0', interfaces };
    expect(await callPlugin(echoPlugin, env('CHECK'), { ...config, prevResult })).toMatchObject({
      exitCode: 0,
    });
  });

  test.each([
    ['CHECK', '0.3.1', '0.4.0'],
    ['GC', '1.0.0', '1.1.0'],
    ['STATUS', '1.0.0', '1.1.0'],
  ])('%s is refused in version %s, as it came with %s', async (verb, cniVersion, since) => {
    const { output } = await callPlugin(echoPlugin, env(verb), { ...config, cniVersion });
    expect(output).toMatchObject({ cniVersion, code: 1 });
    expect(output?.msg).toContain(since);
  });

  test.each(['ADD', 'CHECK', 'DEL'])('%s in the namespace of the plugin itself is refused', async (verb) => {
    const stdin = { ...config, prevResult: { interfaces } };
    const deps = { isOwnNetns: (path: string) => path === '/proc/self/ns/net' };
    const own = { ...env(verb), CNI_NETNS: '/proc/self/ns/net' };
    expect((await callPlugin(echoPlugin, own, stdin, deps)).output).toMatchObject({ code: 8 });
    const forced = { ...own, CNI_NETNS_OVERRIDE: 'TRUE' };
    expect(await callPlugin(echoPlugin, forced, stdin, deps)).toMatchObject({ exitCode: 0 });
    expect(await callPlugin(echoPlugin, env(verb), stdin, deps)).toMatchObject({ exitCode: 0 });
  });

  test('VERSION needs no input and no other variable', async () => {
    const { exitCode, output } = await callPlugin(echoPlugin, { CNI_COMMAND: 'VERSION' }, '');
    expect(exitCode).toBe(0);
    expect(output).toEqual({ cniVersion: '1.1.0', supportedVersions: SUPPORTED_VERSIONS });
  });

  test('VERSION answers in the version asked for', async () => {
    const { output } = await callPlugin(echoPlugin, { CNI_COMMAND: 'VERSION' }, { cniVersion: '0.4.0' });
    expect(output?.cniVersion).toBe('0.4.0');
  });

  test.each(['cni.dev/valid-attachments', 'cni.dev/attachments'])('GC reads %s', async (key) => {
    const list = [{ containerID: 'a', ifname: 'eth0' }];
    const stdin = { ...config, answer: 'say what is kept', [key]: list };
    const { output } = await callPlugin(echoPlugin, env('GC'), stdin);
    expect(output?.msg).toBe('kept: a/eth0');
  });

  test('GC refuses a list with an entry that it cannot read, since it would free what that names', async () => {
    const list = [
      { containerID: 'a', ifname: 'eth0' },
      { containerId: 'b', ifname: 'eth0' },
    ];
    const { output } = await callPlugin(echoPlugin, env('GC'), {
      ...config,
      'cni.dev/valid-attachments': list,
    });
    expect(output).toMatchObject({ code: 7 });
    expect(output?.msg).toContain("'cni.dev/valid-attachments[1]'");
  });

  test.each([
    [{ 'cni.dev/valid-attachments': null, 'cni.dev/attachments': null }],
    [{ 'cni.dev/valid-attachments': null }],
    [{ 'cni.dev/valid-attachments': [] }],
  ])('GC takes %j for an empty list, as Go writes one', async (lists) => {
    const stdin = { ...config, answer: 'say what is kept', ...lists };
    const { output, stderr } = await callPlugin(echoPlugin, env('GC'), stdin);
    expect(output?.msg).toBe('kept:');
    expect(stderr).not.toContain('without a list');
  });

  test('GC without a list takes nothing for valid, as libcni does, and says so', async () => {
    const { output, stderr } = await callPlugin(echoPlugin, env('GC'), {
      ...config,
      answer: 'say what is kept',
    });
    expect(output?.msg).toBe('kept:');
    expect(stderr).toContain('without a list of valid attachments');
  });
});

describe('a failure', () => {
  test('is printed with the number of its code, and its hint as details', async () => {
    const fail = { as: 'kernel', hint: 'do that' };
    const { exitCode, output } = await callPlugin(echoPlugin, env('ADD'), { ...config, fail });
    expect(exitCode).toBe(1);
    expect(output).toEqual({
      cniVersion: '1.1.0',
      code: 100,
      msg: 'Cannot echo: it was asked to',
      details: 'do that',
    });
  });

  test('that nobody foresaw is code 999, and shows no stack', async () => {
    const { output, stdout, stderr } = await callPlugin(echoPlugin, env('ADD'), {
      ...config,
      fail: { as: 'unexpected', text: 'boom' },
    });
    expect(output).toMatchObject({ code: 999, msg: 'Cannot finish the call: unexpected error (boom)' });
    expect(output?.details).toContain('report');
    expect(stdout + stderr).not.toMatch(/\bat .*:\d+/);
  });

  test('shows its stack in the log at debug level', async () => {
    const stdin = { ...config, fail: { as: 'kernel' }, manifold: { logLevel: 'debug' } };
    const { stdout, stderr } = await callPlugin(echoPlugin, env('ADD'), stdin);
    expect(stderr).toMatch(/\bat .*:\d+/);
    expect(stdout).not.toMatch(/\bat .*:\d+/);
  });

  test('is one line, whatever its message has in it', async () => {
    const { output } = await callPlugin(echoPlugin, env('ADD'), {
      ...config,
      fail: { as: 'kernel', text: 'a\n  b' },
    });
    expect(output?.msg).toBe('Cannot echo: a b');
  });
});
