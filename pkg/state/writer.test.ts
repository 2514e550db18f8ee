import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { bootId, isAlive, thisWriter } from './writer.ts';

test('this process is alive', () => {
  expect(isAlive(thisWriter(), bootId())).toBe(true);
});

test('a process of another boot, a reused pid and a missing pid are not', () => {
  expect(isAlive({ ...thisWriter(), bootId: 'another' }, bootId())).toBe(false);
  expect(isAlive({ ...thisWriter(), startTime: '1' }, bootId())).toBe(false);
  expect(isAlive({ ...thisWriter(), pid: 2 ** 22 + 1 }, bootId())).toBe(false);
});

test('a killed process is dead at once, even before its parent has waited for it', async () => {
  // The shell starts a child, says which, and kills it without ever waiting: a zombie until the shell ends.
  const shell = spawn('sh', [
    '-c',
    'sleep 60 & cut -d" " -f22 /proc/$!/stat; echo $!; kill -9 $!; exec sleep 60',
  ]);
  try {
    let text = '';
    while (text.split('\n').length < 3) text += String((await once(shell.stdout, 'data'))[0]);
    const [startTime = '', pid] = text.split('\n');
    const writer = { pid: Number(pid), startTime, bootId: bootId() };
    while (isAlive(writer, bootId())) await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    shell.kill('SIGKILL');
  }
});
