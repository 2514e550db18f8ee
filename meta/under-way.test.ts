import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AttachmentRecord, NodeStore, Writer } from '../pkg/state/node-store.ts';
import { openNodeStore } from '../pkg/state/open-node-store.ts';
import { isUnderWay, readSettled } from './under-way.ts';

let root: string;
let store: NodeStore;
let other: ReturnType<typeof spawn>;
let writer: Writer;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'manifold-under-way-'));
  store = openNodeStore(root);
  other = spawn('sleep', ['60']);
  await once(other, 'spawn');
  const pid = other.pid ?? 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  writer = { ...store.writer, pid, startTime: stat.split(' ')[21] ?? '' };
});
afterEach(async () => {
  await end();
  store.close();
  rmSync(root, { recursive: true });
});

async function end(): Promise<void> {
  if (other.exitCode !== null || other.signalCode !== null) return;
  other.kill('SIGKILL');
  await once(other, 'exit');
}

const record = (state: AttachmentRecord['state'], by: Writer = writer): AttachmentRecord => ({
  containerId: 'c1',
  ifname: 'net1',
  position: 1,
  network: 'default/rail0',
  pod: { namespace: 'default', name: 'web' },
  netns: '/run/netns/x',
  config: { name: 'rail0' },
  args: {},
  state,
  writer: by,
});
const read = () => store.attachments.all();

test.each(['planned', 'adding', 'added', 'deleting'] as const)(
  'what another process has just written as %s is waited for, and then says who is at it',
  async (state) => {
    store.attachments.put(record(state));
    await expect(readSettled(store, read, 60)).rejects.toMatchObject({
      code: 'try-later',
      message: `Cannot detach pod default/web: process ${writer.pid} is ${state === 'deleting' ? 'detaching' : 'attaching'} it right now`,
    });
  },
);

test('the records are read anew when the other process has ended', async () => {
  store.attachments.put(record('adding'));
  const settled = readSettled(store, read);
  store.attachments.put(record('added'));
  store.attachments.put({ ...record('added'), ifname: 'net2' });
  await end();
  expect((await settled).map(({ ifname, state }) => `${ifname} ${state}`)).toEqual([
    'net1 added',
    'net2 added',
  ]);
});

test('what this process, or one that has ended, has written is not waited for', async () => {
  store.attachments.put(record('deleting', store.writer));
  expect(await readSettled(store, read, 0)).toHaveLength(1);
  await end();
  store.attachments.put(record('adding'));
  expect(await readSettled(store, read, 0)).toHaveLength(1);
});

test('a call is under way while the process lives that adds or, if it is another, that deletes', async () => {
  expect(isUnderWay(store, [record('adding')])).toBe(true);
  expect(isUnderWay(store, [record('deleting')])).toBe(true);
  expect(isUnderWay(store, [record('added')])).toBe(false);
  expect(isUnderWay(store, [record('deleting', store.writer)])).toBe(false);
  await end();
  expect(isUnderWay(store, [record('planned'), record('deleting')])).toBe(false);
});
