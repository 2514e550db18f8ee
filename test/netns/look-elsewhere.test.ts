// What is looked for in every namespace that this process can see.
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { lookElsewhere } from '../../pkg/kernel/look-elsewhere.ts';
import { connect, makeHostNic, withNetns } from '../kit/netns.ts';

const kernel = createKernel();
const look = (name: string) => lookElsewhere(kernel, (namespace) => namespace.link({ name }));

test('a link is found in a namespace with a name', async () => {
  await withNetns(async (a) =>
    withNetns((b) => {
      const name = `x${a.name.slice(4)}`;
      connect(a, name, b, 'y');
      const found = look(name);
      expect(found?.namespace.path).toBe(a.path);
      expect(found?.found.name).toBe(name);
      found?.namespace.close();
    }),
  );
});

test('a link is found in a namespace that only a process holds', async () => {
  const name = `p${process.pid}x${Math.floor(Math.random() * 1e6)}`;
  const child = spawn('unshare', [
    '-n',
    'sh',
    '-c',
    `ip link add ${name} type bridge && echo made && exec sleep 60`,
  ]);
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const found = look(name);
    expect(found?.namespace.path).toMatch(/^\/proc\/\d+\/ns\/net$/);
    found?.namespace.close();
  } finally {
    child.kill('SIGKILL');
  }
});

test('the host itself is not elsewhere, and what is nowhere is not found', () => {
  using nic = makeHostNic();
  expect(look(nic.name)).toBeUndefined();
  expect(look('nothing-has-this')).toBeUndefined();
});
