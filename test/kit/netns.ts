// Throw-away network namespaces for tests: real ones, under names that nothing else has, removed whatever happens.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { getuid } from 'node:process';

export interface TestNetns extends Disposable {
  readonly name: string;
  /** Usable as CNI_NETNS: a mount point. */
  readonly path: string;
  /** Runs a program inside; gives its standard output. @throws Error with what it wrote to stderr */
  exec(program: string, ...args: string[]): string;
  /** What `ip -j ARGS` prints inside, parsed. */
  ip(...args: string[]): unknown[];
}

/** Eight characters that no other test, process or run uses. */
function uniqueSuffix(): string {
  return randomBytes(4).toString('hex');
}

/** Makes a namespace; disposing removes it and all that is in it. Its loopback is up. */
export function makeNetns(): TestNetns {
  if (getuid?.() !== 0) throw new Error('This test makes network namespaces: run it as root');
  const name = `mft-${uniqueSuffix()}`;
  run('ip', ['netns', 'add', name]);
  const exec = (program: string, ...args: string[]) => run('ip', ['netns', 'exec', name, program, ...args]);
  const netns: TestNetns = {
    name,
    path: `/run/netns/${name}`,
    exec,
    ip: (...args) => {
      const output = run('ip', ['-n', name, '-d', '-j', ...args]).trim();
      const parsed: unknown = output === '' ? [] : JSON.parse(output);
      return Array.isArray(parsed) ? parsed : [parsed];
    },
    [Symbol.dispose]: () => {
      run('ip', ['netns', 'del', name]);
    },
  };
  run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return netns;
}

/** Gives `work` a namespace and removes it when `work` is over, also when it fails. */
export async function withNetns<T>(work: (netns: TestNetns) => T | Promise<T>): Promise<T> {
  using netns = makeNetns();
  return await work(netns);
}

/** A veth pair between two namespaces, both ends up: carrier, and frames pass. */
export function connect(a: TestNetns, nameInA: string, b: TestNetns, nameInB: string): void {
  run('ip', ['-n', a.name, 'link', 'add', nameInA, 'type', 'veth', 'peer', 'name', nameInB, 'netns', b.name]);
  run('ip', ['-n', a.name, 'link', 'set', nameInA, 'up']);
  run('ip', ['-n', b.name, 'link', 'set', nameInB, 'up']);
}

export interface TestNic extends Disposable {
  /** Its name in the host's namespace, unique. */
  readonly name: string;
  /** The other end's namespace, where it is called "wire". */
  readonly wire: TestNetns;
}

/**
 * A stand-in for a NIC of the host: one end of a veth pair in the host's namespace, the other in a throw-away one.
 * Disposing removes both ends, wherever a test has moved the first.
 */
export function makeHostNic(): TestNic {
  const wire = makeNetns();
  const name = `mft${uniqueSuffix()}`;
  try {
    run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'wire', 'netns', wire.name]);
    run('ip', ['link', 'set', name, 'up']);
    run('ip', ['-n', wire.name, 'link', 'set', 'wire', 'up']);
  } catch (error) {
    wire[Symbol.dispose]();
    throw error;
  }
  return {
    name,
    wire,
    [Symbol.dispose]: () => {
      try {
        // One end deleted is both deleted, at once; with the namespace alone it would go some time later.
        run('ip', ['-n', wire.name, 'link', 'del', 'wire']);
      } finally {
        wire[Symbol.dispose]();
      }
    },
  };
}

function run(program: string, args: readonly string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
  });
}
