// What manifold-agent looks at before it ends a lease: every namespace of the node, named or not.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { nodeNamespaces, readAnswering } from '../../meta/agent/node-namespaces.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { makeNetns, withNetns } from '../kit/netns.ts';

const answering = () => readAnswering(createKernel(), nodeNamespaces());

test('an address in a namespace that has a name is found, until the namespace is gone', async () => {
  await withNetns((netns) => {
    netns.ip('addr', 'add', '198.51.100.77/32', 'dev', 'lo');
    netns.ip('addr', 'add', '2001:db8:77::1/64', 'dev', 'lo', 'nodad');
    expect(answering().get('198.51.100.77')).toHaveLength(1);
    expect(answering().get('2001:db8:77::1')).toHaveLength(1);
  });
  expect(answering().get('198.51.100.77')).toBeUndefined();
});

test('an address in a namespace that has no name, but processes, is found', async () => {
  const script = 'ip addr add 198.51.100.78/32 dev lo && echo ready && exec sleep 60';
  const netns = makeNetns();
  const holder = spawn('ip', ['netns', 'exec', netns.name, 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(holder.stdout, 'data');
    // The name goes, the namespace stays as long as the process.
    netns[Symbol.dispose]();
    expect(answering().get('198.51.100.78')).toHaveLength(1);
  } finally {
    holder.kill('SIGKILL');
    await once(holder, 'close');
  }
});
