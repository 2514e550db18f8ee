import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { echoPlugin } from '../../test/kit/echo-plugin.ts';
import { type ScriptDirectory, scriptDirectory } from '../../test/kit/script-plugins.ts';
import { ManifoldError } from '../errors/manifold-error.ts';
import { silentLogger } from '../log/logger.ts';
import { answerCall } from './answer.ts';
import { createDelegates, type DelegateParent } from './delegates.ts';
import type { DelegateOptions, Delegates, JsonObject } from './plugin.ts';
import { SUPPORTED_VERSIONS } from './versions.ts';

let scripts: ScriptDirectory;
beforeAll(() => {
  scripts = scriptDirectory();
  const program = join(import.meta.dirname, '../../test/kit/echo-program.ts');
  scripts.add('echo', `exec ${process.execPath} --disable-warning=ExperimentalWarning ${program}`);
});
afterAll(() => scripts.remove());

function delegatesOf(ours: 'in process' | 'by exec', more: Partial<DelegateParent> = {}): Delegates {
  const parent = {
    containerId: 'c1',
    ifname: 'net1',
    netns: '/ns',
    args: { A: 'b=c' },
    path: [scripts.path],
    runDir: '/nowhere/run',
    log: silentLogger,
    ...more,
  };
  const plugins = new Map(ours === 'in process' ? [['echo', echoPlugin]] : []);
  const env = { PATH: process.env.PATH, CNI_COMMAND: 'ADD', CNI_IFNAME: 'outer', CNI_ARGS: 'not=ours' };
  return createDelegates(
    parent,
    { env, plugins, stderr: () => undefined, delegateTimeoutMs: 20_000 },
    answerCall,
  );
}

const seen = async (call: Promise<unknown>) => {
  try {
    return { result: await call };
  } catch (error) {
    if (!(error instanceof ManifoldError)) throw error;
    const { code, message, hint, cniCode } = error;
    return { error: { code, message, hint, cniCode } };
  }
};

const full = {
  interfaces: [{ name: 'net1', mac: '02:00:00:00:00:01', mtu: 9000, sandbox: '/ns', pciID: '0000:3b:00.2' }],
  ips: [
    { address: '10.1.0.5/16', gateway: '10.1.0.1', interface: 0 },
    { address: '10.1.0.6/16' },
    { address: 'fd00::5/64', interface: 0 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, table: 0 }, { dst: 'fd01::/64' }],
  dns: { nameservers: ['10.1.0.1'], search: ['a', 'b'] },
};
const base = { name: 'net', type: 'echo', cniVersion: '1.1.0' };

type Verb = keyof Delegates;
/** Name, verb, configuration, a part of the error that must come, and what the call sets differently. */
const CASES: readonly [string, Verb, JsonObject, string | undefined, DelegateOptions?][] = [
  ...SUPPORTED_VERSIONS.map((cniVersion): [string, Verb, JsonObject, undefined] => [
    `a result in version ${cniVersion}`,
    'add',
    { ...base, cniVersion, answer: full },
    undefined,
  ]),
  ['what it was asked', 'add', base, undefined],
  ['what it was asked otherwise', 'add', base, undefined, { ifname: 'x', netns: '/other', args: { Z: '1' } }],
  ['no version', 'add', { name: 'net', answer: full }, undefined],
  ['a bad configuration', 'add', { ...base, mtu: -1, mode: 'x' }, "'mtu'"],
  ['an unknown version', 'add', { ...base, cniVersion: '3.0.0' }, '"3.0.0"'],
  ['no name', 'add', { type: 'echo' }, "'name'"],
  ['a bad interface name', 'add', base, 'CNI_IFNAME', { ifname: 'a/b' }],
  [
    'a failure with a code and a hint',
    'add',
    { ...base, fail: { as: 'try-later', hint: 'wait' } },
    'asked to',
  ],
  ['a defect', 'add', { ...base, fail: { as: 'unexpected', text: 'two\nlines' } }, 'two lines'],
  ["a failure of its own delegate's", 'add', { ...base, delegate: { type: 'lost' } }, "find plugin 'lost'"],
  ['a deletion', 'del', base, undefined],
  ['a deletion without a namespace', 'del', base, undefined, { netns: undefined }],
  ['a check without a result', 'check', base, 'prevResult'],
  ['a check', 'check', { ...base, prevResult: { cniVersion: '1.1.0', ...full } }, undefined],
  ['a status', 'status', { ...base, fail: { as: 'unavailable' } }, 'asked to'],
  ['a status in an old version', 'status', { ...base, cniVersion: '1.0.0' }, '1.1.0 or newer'],
  ['a collection', 'gc', { ...base, answer: 'say what is kept', 'cni.dev/valid-attachments': [] }, 'kept:'],
];

describe('a plugin of ours gives the same in this process as by exec', () => {
  test.each(CASES)('%s', async (_name, verb, config, failure, options) => {
    const here = await seen(delegatesOf('in process')[verb]('echo', config, options));
    const there = await seen(delegatesOf('by exec')[verb]('echo', config, options));
    expect(here).toEqual(there);
    if (failure === undefined) expect(here).toHaveProperty('result');
    else expect(here.error?.message).toContain(failure);
  });
});

describe('a drop-in for another project’s plugin', () => {
  const callDropIn = (isOwnFile?: (path: string) => boolean) => {
    scripts.add('taken', `echo '{"cniVersion":"1.1.0","dns":{"domain":"the file'"'"'s own"}}'`);
    const plugin = { ...echoPlugin, name: 'taken', dropIn: true as const };
    const parent = { ...{ containerId: 'c1', ifname: 'net1', netns: '/ns', args: {} }, path: [scripts.path] };
    const delegates = createDelegates(
      { ...parent, runDir: '/nowhere/run', log: silentLogger },
      {
        ...{
          env: { PATH: process.env.PATH },
          plugins: new Map([['taken', plugin]]),
          stderr: () => undefined,
        },
        ...(isOwnFile && { isOwnFile }),
      },
      answerCall,
    );
    return delegates.add('taken', { ...base, type: 'taken', answer: { dns: { domain: 'ours' } } });
  };

  test('runs in this process where the file of that name is ours', async () => {
    const asked: string[] = [];
    const isOwnFile = (path: string) => asked.push(path) > 0;
    expect((await callDropIn(isOwnFile)).dns?.domain).toBe('ours');
    expect(asked).toEqual([join(scripts.path, 'taken')]);
  });

  test.each([[() => false], [undefined]])(
    'is the file that is there in every other case',
    async (isOwnFile) => {
      expect((await callDropIn(isOwnFile)).dns?.domain).toBe("the file's own");
    },
  );
});

describe('a foreign plugin', () => {
  const failure = async (script: string, verb: Verb = 'add') => {
    scripts.add('foreign', script);
    return (await seen(delegatesOf('by exec')[verb]('foreign', base))).error;
  };

  test('that prints an error keeps its code, with its name before its message', async () => {
    expect(
      await failure(`echo '{"cniVersion":"1.0.0","code":123,"msg":"no","details":"why"}'; exit 2`),
    ).toEqual({
      code: 'delegate',
      message: "Cannot run ADD of plugin 'foreign': no",
      hint: 'why',
      cniCode: 123,
    });
  });

  test('that prints no JSON has what it printed in the error, and its standard error in the hint', async () => {
    expect(await failure('echo oops; echo because >&2; exit 2')).toEqual({
      code: 'delegate',
      message: `Cannot run ADD of plugin 'foreign': it ended with exit code 2 and no CNI error (printed: "oops")`,
      hint: 'its standard error: because',
      cniCode: undefined,
    });
  });

  test('that is killed by a signal, ends well without a result, or gives a bad one, is told apart', async () => {
    expect((await failure('kill -KILL $$'))?.message).toContain('killed by a signal (SIGKILL)');
    expect((await failure('exit 0'))?.message).toContain('no result (nothing on standard output)');
    const bad = await failure(`echo '{"cniVersion":"1.0.0","ips":[{"address":"nonsense"}]}'`);
    expect(bad?.message).toContain("'result.ips[0].address'");
  });

  test('may print what it likes for a verb that has no result', async () => {
    expect(await failure('echo hello', 'del')).toBeUndefined();
  });

  test('is given the parameters of the call alone, not those of the caller', async () => {
    scripts.add('foreign', `env | grep ^CNI_ | sort | tr '\\n' ' ' >&2; echo; exit 9`);
    const shown = async (verb: Verb) =>
      (await seen(delegatesOf('by exec')[verb]('foreign', base))).error?.hint;
    expect(await shown('add')).toBe(
      'its standard error: CNI_ARGS=A=b=c CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_IFNAME=net1 CNI_NETNS=/ns ' +
        `CNI_PATH=${scripts.path}`,
    );
    expect(await shown('status')).toBe(`its standard error: CNI_COMMAND=STATUS CNI_PATH=${scripts.path}`);
  });

  test('without cniVersion in its result speaks the version of its configuration', async () => {
    scripts.add('foreign', `echo '{"ip4":{"ip":"10.0.0.1/8","gateway":"","routes":null},"dns":{}}'`);
    const result = await delegatesOf('by exec').add('foreign', { ...base, cniVersion: '0.2.0' });
    expect(result).toEqual({ ips: [{ address: '10.0.0.1/8' }] });
  });
});

test.each(['../echo', '', '.', 'a/b', 'a\0b'])(
  'the type %j is refused, as it is no file name',
  async (type) => {
    await expect(delegatesOf('in process').add(type, base)).rejects.toMatchObject({ code: 'bad-config' });
  },
);

test('CNI_NETNS_OVERRIDE of the caller holds for its delegates too', async () => {
  const parent = {
    containerId: 'c1',
    ifname: 'net1',
    netns: '/own',
    args: {},
    path: [scripts.path],
    runDir: '/nowhere',
    log: silentLogger,
  };
  const call = (env: Record<string, string>) => {
    const plugins = new Map([['echo', echoPlugin]]);
    const deps = { env, plugins, stderr: () => undefined, isOwnNetns: () => true };
    return seen(createDelegates(parent, deps, answerCall).add('echo', base));
  };
  expect((await call({})).error?.cniCode).toBe(8);
  expect((await call({ CNI_NETNS_OVERRIDE: '1' })).error).toBeUndefined();
});

test('plugins that call each other in a circle are stopped', async () => {
  let inner: JsonObject = { ...base };
  for (let depth = 0; depth < 12; depth++) inner = { ...base, delegate: inner };
  const { error } = await seen(delegatesOf('in process').add('echo', inner));
  expect(error?.message).toContain('plugins call each other in a circle');
});
