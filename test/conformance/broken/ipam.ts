// An IPAM plugin over a directory of files, one for each held address, honest but for its sin.
import { linkSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject, objectsOf } from '../json.ts';
import { type BrokenPlugin, type Call, Refusal } from './call.ts';
import { ipBatch } from './ip.ts';

interface Pool {
  readonly directory: string;
  readonly prefix: string;
  readonly hosts: readonly number[];
  readonly conf: JsonObject;
}

export const IPAM: BrokenPlugin = {
  add(call) {
    const { sins } = call;
    const pool = poolOf(call);
    if (sins('ipam.kernel-untouched')) ipBatch(call.netns, ['link add made-by-ipam type bridge']);
    if (sins('add.parallel')) collide(pool);
    const own = sins('ipam.asked-twice')
      ? undefined
      : held(pool).find(([, owner]) => owner === ownerOf(call));
    const host = own?.[0] ?? claim(pool, call);
    const address = `${pool.prefix}${host}/24`;
    const more = sins('ipam.abbreviated-result') ? { interfaces: [{ name: call.ifname }] } : {};
    return { ips: [{ address, gateway: `${pool.prefix}1` }], routes: pool.conf.routes ?? [], ...more };
  },
  del(call) {
    const { sins } = call;
    if (sins('lease.del-frees') || (sins('lease.del-frees-without-netns') && call.netns === '')) return;
    const pool = poolOf(call);
    const mine = held(pool).filter(([, owner]) => owner === ownerOf(call) || sins('lease.del-of-another'));
    for (const [host] of mine.slice(0, 1)) rmSync(join(pool.directory, `${host}`), { force: true });
  },
  check(call) {
    if (call.sins('ipam.check-released')) return;
    const there = held(poolOf(call)).some(([, owner]) => owner === ownerOf(call));
    if (!there) throw new Refusal(999, 'no address is held');
  },
  status(call) {
    const pool = poolOf(call);
    const full = held(pool).length >= pool.hosts.length;
    if (full && !call.sins('lease.status-exhausted')) throw new Refusal(50, 'every address is held');
  },
  gc(call) {
    const { sins } = call;
    if (sins('lease.gc-frees')) return;
    const valid = objectsOf(call.conf['cni.dev/valid-attachments']).map(
      (at) => `${at.containerID} ${at.ifname}`,
    );
    const pool = poolOf(call);
    for (const [host, owner] of held(pool)) {
      if (!valid.includes(owner) || sins('lease.gc-keeps'))
        rmSync(join(pool.directory, `${host}`), { force: true });
    }
  },
};

function poolOf({ conf }: Call): Pool {
  const ipam = isObject(conf.ipam) ? conf.ipam : {};
  const directory = join(`${ipam.dataDir}`, `${conf.name}`);
  mkdirSync(directory, { recursive: true });
  return { directory, prefix: `${ipam.prefix}`, hosts: [2, 3, 4, 5], conf: ipam };
}

/** link(2) of a written file is the claim: it fails where another holds the address, and no reader sees it empty. */
function claim(pool: Pool, call: Call): number {
  const note = join(pool.directory, `.${process.pid}`);
  writeFileSync(note, ownerOf(call));
  try {
    const host = pool.hosts.find((number) => take(note, join(pool.directory, `${number}`)));
    if (host !== undefined) return host;
    if (call.sins('lease.exhausted')) return pool.hosts[0] ?? 2;
    throw new Refusal(999, 'every address is held');
  } finally {
    rmSync(note);
  }
}

function take(note: string, file: string): boolean {
  try {
    linkSync(note, file);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function held(pool: Pool): readonly (readonly [number, string])[] {
  return readdirSync(pool.directory)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), ownerIn(join(pool.directory, name))] as const);
}

function ownerIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return '';
    throw error;
  }
}

/** A lock that nobody waits for. */
function collide(pool: Pool): void {
  const lock = join(pool.directory, 'lock');
  try {
    mkdirSync(lock);
  } catch (error) {
    if (isCode(error, 'EEXIST')) throw new Refusal(999, 'somebody else is at work');
    throw error;
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  rmdirSync(lock);
}

function ownerOf({ containerId, ifname }: Call): string {
  return `${containerId} ${ifname}`;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
