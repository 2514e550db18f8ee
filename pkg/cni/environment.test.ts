import { describe, expect, test } from 'vitest';
import { ATTACHMENT_ENV, callPlugin } from '../../test/kit/call-plugin.ts';
import { echoPlugin } from '../../test/kit/echo-plugin.ts';

const env = (CNI_COMMAND: string) => ({ ...ATTACHMENT_ENV, CNI_COMMAND });
const config = { cniVersion: '1.1.0', name: 'net', type: 'echo' };

describe('the environment', () => {
  test('without CNI_COMMAND, name and versions go to standard error and nothing to standard output', async () => {
    const printed = await callPlugin(echoPlugin, {}, '');
    expect(printed).toMatchObject({ exitCode: 0, stdout: '' });
    expect(printed.stderr).toContain('echo: answers what it is asked');
    expect(printed.stderr).toContain('0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0');
  });

  test.each([
    ['ADD', 'CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH'],
    ['CHECK', 'CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH'],
    ['DEL', 'CNI_CONTAINERID, CNI_IFNAME, CNI_PATH'],
    ['GC', 'CNI_PATH'],
  ])('%s names all variables that are missing at once', async (verb, names) => {
    const { exitCode, output } = await callPlugin(echoPlugin, { CNI_COMMAND: verb }, config);
    expect(exitCode).toBe(1);
    expect(output).toMatchObject({ cniVersion: '1.1.0', code: 4 });
    expect(output?.msg).toBe(`Cannot run ${verb}: required variables are not set (${names})`);
  });

  test('an empty variable is a missing one', async () => {
    const { output } = await callPlugin(echoPlugin, { ...env('ADD'), CNI_NETNS: '' }, config);
    expect(output).toMatchObject({
      code: 4,
      msg: 'Cannot run ADD: required variables are not set (CNI_NETNS)',
    });
  });

  test.each([
    ['CNI_COMMAND', 'add', 'it is no verb of CNI'],
    ['CNI_CONTAINERID', '../x', 'it must begin with a letter or digit'],
    ['CNI_CONTAINERID', 'a b', 'it must begin with a letter or digit'],
    ['CNI_IFNAME', 'sixteen-bytes-xx', 'at most 15 bytes'],
    ['CNI_IFNAME', 'ääääääää', 'at most 15 bytes'],
    ['CNI_IFNAME', '..', '"."'],
    ['CNI_IFNAME', 'a/b', 'must not contain'],
    ['CNI_IFNAME', 'a b', 'must not contain'],
    ['CNI_IFNAME', 'eth%d', 'must not contain "%"'],
    ['CNI_IFNAME', 'all', 'must not be "all"'],
    ['CNI_IFNAME', 'default', 'must not be "all" or "default"'],
    ['CNI_IFNAME', 'a\u0007b', 'control characters'],
    ['CNI_ARGS', 'A=1;B', 'one is "B"'],
    ['CNI_ARGS', '=1', 'one is "=1"'],
  ])('%s that is %j is refused by name', async (name, value, reason) => {
    const { output } = await callPlugin(echoPlugin, { ...env('ADD'), [name]: value }, config);
    expect(output).toMatchObject({ code: 4 });
    expect(output?.msg).toContain(name);
    expect(output?.msg).toContain(reason);
  });

  test('a variable that the verb does not use is not looked at', async () => {
    const { exitCode } = await callPlugin(echoPlugin, { ...env('STATUS'), CNI_CONTAINERID: '../x' }, config);
    expect(exitCode).toBe(0);
  });

  test('values of CNI_ARGS may have "=" in them', async () => {
    const args = { ...env('ADD'), CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=a;X=b=c=' };
    const { output } = await callPlugin(echoPlugin, args, config);
    expect(output?.dns).toEqual({ search: ['IgnoreUnknown=1', 'K8S_POD_NAME=a', 'X=b=c='] });
  });
});
