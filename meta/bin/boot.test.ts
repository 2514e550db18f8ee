import { spawnSync } from 'node:child_process';
import { execPath } from 'node:process';
import { expect, test } from 'vitest';

const BOOT = new URL('boot.ts', import.meta.url).href;

test.each([
  ['thrown', "() => { throw new Error('two\\nlines'); }"],
  ['a promise that nobody waits for', "() => { Promise.reject(new Error('two\\nlines')); }"],
])('a defect is told in one line, without source and stack: %s', (_, main) => {
  const code = `import { boot } from '${BOOT}'; boot(${main});`;
  const { status, stdout, stderr } = spawnSync(execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: 'Cannot go on: Error: two lines (a defect of Manifold: please report it)\n',
  });
});
