// The command line of the harness as its user meets it: exit codes, the table, JSON, rows known to fail.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, test } from 'vitest';
import { BrokenKit } from './broken/kit.ts';
import { exec, type Outcome } from './exec.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

let kit: BrokenKit;
let directory: string;
let conf: string;

beforeAll(async () => {
  kit = await BrokenKit.make();
  directory = await mkdtemp(join(tmpdir(), 'conformance-main-'));
  conf = join(directory, 'conf.json');
  await writeFile(conf, JSON.stringify(kit.conf('ipam')));
});
afterAll(async () => {
  await kit[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function run(sin: string, ...more: string[]): Promise<Outcome> {
  const plugin = await kit.plugin('ipam', sin);
  const argv = [process.execPath, MAIN, '--plugin', plugin, '--conf', conf, ...more];
  return exec(argv, { env: { PATH: process.env.PATH ?? '' } });
}

test('a plugin that passes every chosen row exits with 0 and a table', async ({ expect }) => {
  const outcome = await run('none', '--row', 'version', '--row', 'ipam.asked-twice');
  expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
  expect(outcome.stdout).toContain('ipam plugin, versions 0.1.0');
  expect(outcome.stdout).toMatch(/^pass +MUST +version\.answers/m);
  expect(outcome.stdout).toContain('10 rows: 10 pass, 0 fail');
});

test('a plugin that fails a row exits with 1 and shows what was seen', async ({ expect }) => {
  const outcome = await run('version.cniVersion', '--row', 'version.cniVersion');
  expect(outcome.exitCode).toBe(1);
  expect(outcome.stdout).toMatch(/^fail +MUST +version\.cniVersion/m);
  expect(outcome.stdout).toContain('asked in 0.1.0, answered in "1.1.0"');
});

test('a row that is allowed to fail is printed with its reason and does not fail the run', async ({
  expect,
}) => {
  const outcome = await run(
    'version.cniVersion',
    '--row',
    'version',
    '--allow',
    'version.cniVersion=we know',
  );
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stdout).toMatch(/^allowed +MUST +version\.cniVersion/m);
  expect(outcome.stdout).toContain('known: we know');
});

test('an allowed row that passes fails the run, so that the list stays true', async ({ expect }) => {
  const outcome = await run('none', '--row', 'version', '--allow', 'version.cniVersion=no more');
  expect(outcome.exitCode).toBe(1);
  expect(outcome.stdout).toContain('allowed to fail (no more), and yet: pass');
});

test('--json prints every row with its verdict', async ({ expect }) => {
  const outcome = await run('none', '--row', 'env.args', '--json');
  expect(JSON.parse(outcome.stdout)).toMatchObject({
    kind: 'ipam',
    exclusive: false,
    rows: [{ id: 'env.args', level: 'SHOULD', verdict: 'pass' }],
  });
});

test('a plugin whose ADD never succeeds is refused with the reason and exit code 2', async ({ expect }) => {
  const plugin = await kit.plugin('chained', 'none');
  await writeFile(conf, JSON.stringify({ ...kit.conf('chained'), mtu: 'wrong' }));
  const outcome = await exec([process.execPath, MAIN, '--plugin', plugin, '--conf', conf], {
    env: { PATH: process.env.PATH ?? '' },
  });
  await writeFile(conf, JSON.stringify(kit.conf('ipam')));
  expect(outcome.exitCode).toBe(2);
  expect(outcome.stderr).toMatch(
    /no ADD with this configuration succeeds \(alone: .*prevResult is missing.*chained: /,
  );
});

test.for([
  ['--row', 'nothing', 'there is no such row'],
  ['--allow', 'nothing=x', 'there is no such row'],
  ['--allow', 'version.answers', 'it is not row-id=reason'],
])('%s %s is refused: %s', async ([option = '', value = '', reason = ''], { expect }) => {
  const outcome = await run('none', option, value);
  expect(outcome.exitCode).toBe(2);
  expect(outcome.stderr).toContain(reason);
});
