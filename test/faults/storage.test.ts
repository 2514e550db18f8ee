// The state directory is full, read-only, damaged or not a directory: ADD fails clearly and leaves nothing, DEL works.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AttachedWorld, type ProgramName } from '../kit/attached-world.ts';

let world: AttachedWorld;

/** Puts a small file system of its own under the state directory. */
function mountState(): void {
  mkdirSync(world.node.stateDir, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'manifold-test', world.node.stateDir]);
}
const remount = (mode: 'ro' | 'rw') => execFileSync('mount', ['-o', `remount,${mode}`, world.node.stateDir]);

/** Writes until the disk is full, to the last byte. */
function fill(): void {
  const fd = openSync(join(world.node.stateDir, 'ballast'), 'w');
  try {
    for (let size = 65536; size >= 1; size = size === 1 ? 0 : size / 16) {
      const block = Buffer.alloc(size);
      while (writes(fd, block));
    }
  } finally {
    closeSync(fd);
  }
}

function writes(fd: number, block: Buffer): boolean {
  try {
    return writeSync(fd, block) > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}

const empty = () => rmSync(join(world.node.stateDir, 'ballast'));
const umount = () => execFileSync('umount', [world.node.stateDir]);

describe.each<ProgramName>(['macvlan', 'host-device', 'manifold'])('%s', (program) => {
  beforeEach(() => {
    world = new AttachedWorld(program);
    mountState();
  });
  afterEach(() => {
    umount();
    world.close();
  });

  test('disk full from the start: ADD says so and leaves nothing, and works when there is room', async () => {
    fill();
    const outcome = await world.call('ADD', 'a');
    expect(outcome.code).toBe(1);
    expect(`${outcome.json.msg}`).toContain(world.node.stateDir);
    expect(`${outcome.json.msg} ${outcome.json.details}`).toMatch(/full|space/);
    expect(world.node.links('a')).toEqual([]);
    empty();
    expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
    expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    world.expectGone();
  });

  test('disk full later: a second pod is refused and leaves nothing, DEL of the first works and is carried out', async () => {
    expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
    fill();
    const outcome = await world.call('ADD', 'b', { args: 'IgnoreUnknown=1;K8S_POD_UID=uid-2' });
    expect(outcome.code).toBe(1);
    expect(world.node.links('b')).toEqual([]);
    world.expectAttached('a');
    expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    expect(world.node.links('a')).toEqual([]);
    empty();
    expect(await world.call('DEL', 'b')).toMatchObject({ code: 0 });
    world.expectGone();
  });

  test('read-only: ADD says so and leaves nothing, DEL works and is carried out later', async () => {
    expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
    remount('ro');
    const outcome = await world.call('ADD', 'b', { args: 'IgnoreUnknown=1;K8S_POD_UID=uid-2' });
    expect(outcome.code).toBe(1);
    const cause = program === 'host-device' ? 'pod team/trainer has it' : 'read-only';
    expect(`${outcome.json.msg} ${outcome.json.details}`).toContain(cause);
    expect(world.node.links('b')).toEqual([]);
    expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    expect(world.node.links('a')).toEqual([]);
    remount('rw');
    expect(await world.call('DEL', 'b')).toMatchObject({ code: 0 });
    // What manifold keeps for other tools lay there too, where no DEL could take it away.
    if (program === 'manifold') expect(await world.collect()).toMatchObject({ code: 0 });
    world.expectGone();
  });

  test('damaged: ADD names the file and what to do, DEL does what it can by name', async () => {
    expect(await world.call('ADD', 'a')).toMatchObject({ code: 0 });
    const file = join(world.node.stateDir, 'state.db');
    for (const suffix of ['-wal', '-shm', '-journal']) rmSync(`${file}${suffix}`, { force: true });
    writeFileSync(file, Buffer.alloc(8192, 'garbage '));
    const outcome = await world.call('ADD', 'b', { args: 'IgnoreUnknown=1;K8S_POD_UID=uid-2' });
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain(file);
    expect(world.node.links('b')).toEqual([]);
    expect(await world.call('DEL', 'a')).toMatchObject({ code: 0 });
    if (program !== 'manifold') expect(world.node.links('a')).toEqual([]);
    if (program === 'host-device') expect(world.node.ip('link')).toContain('eth5@');
  });
});

test('a state directory that is a file is named', async () => {
  world = new AttachedWorld('macvlan');
  try {
    writeFileSync(world.node.stateDir, '');
    const outcome = await world.call('ADD', 'a');
    expect(outcome.code).toBe(1);
    expect(outcome.json.msg).toContain(world.node.stateDir);
    expect(world.node.links('a')).toEqual([]);
  } finally {
    world.close();
  }
});
