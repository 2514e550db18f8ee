// A node of a test's own: a network namespace that stands in for the host, NICs made of veth pairs, pods as further
// namespaces, and a state directory. All of it is gone after close(), also what a killed plugin left.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import { checkState } from '../../pkg/state/check-state.ts';
import { openNodeStore } from '../../pkg/state/open-node-store.ts';

export interface Outcome {
  /** Exit code; null after a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What stdout holds, parsed; {} for none. */
  readonly json: JsonObject;
}

export interface CallOptions {
  readonly pod?: string;
  /** Given to CNI_NETNS as it is; by default the path of `pod`. Empty: unset. */
  readonly netns?: string;
  readonly containerId?: string;
  readonly ifname?: string;
  readonly args?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The program and what stands before its arguments; by default the built executable of the plugin's name. */
  readonly command?: readonly string[];
  /** Called with the process, so that a test can kill it. */
  readonly spawned?: (pid: number) => void;
}

export const DIST_BIN = join(import.meta.dirname, '../../dist/bin');
export const NODE = [execPath, '--disable-warning=ExperimentalWarning'] as const;

/** Runs `ip` with these words; throws with its complaint. */
export function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export class TestNode {
  /** The namespace that is the host to the plugins. */
  readonly name: string;
  readonly directory = mkdtempSync(join(tmpdir(), 'manifold-test-'));
  readonly stateDir = join(this.directory, 'state');
  readonly runDir = join(this.directory, 'run');
  /** Goes into each network configuration. */
  readonly manifold: JsonObject = { stateDir: this.stateDir, runDir: this.runDir };
  private readonly namespaces = new Set<string>();

  constructor(name = `mf-${randomBytes(3).toString('hex')}`) {
    this.name = name;
    this.addNamespace(name);
    this.ip('link', 'set', 'lo', 'up');
  }

  private addNamespace(name: string): void {
    ip('netns', 'add', name);
    this.namespaces.add(name);
  }

  /** `ip` on the node. */
  ip(...words: string[]): string {
    return ip('-n', this.name, ...words);
  }

  /** A NIC with carrier: one end of a veth pair, the other end is the wire. */
  addNic(name: string): void {
    this.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-w`);
    this.ip('link', 'set', name, 'up');
    this.ip('link', 'set', `${name}-w`, 'up');
  }

  /** @returns the name of the pod's namespace */
  addPod(name: string): string {
    const namespace = `${this.name}-${name}`;
    this.addNamespace(namespace);
    return namespace;
  }

  removePod(name: string): void {
    ip('netns', 'del', `${this.name}-${name}`);
    this.namespaces.delete(`${this.name}-${name}`);
  }

  netnsPath(pod: string): string {
    return `/run/netns/${this.name}-${pod}`;
  }

  /** `ip` in a pod. */
  podIp(pod: string, ...words: string[]): string {
    return ip('-n', `${this.name}-${pod}`, ...words);
  }

  /** The pod's interfaces but lo, as `ip -j -d addr` tells. */
  links(pod?: string): IpLink[] {
    const text = pod === undefined ? this.ip('-j', '-d', 'addr') : this.podIp(pod, '-j', '-d', 'addr');
    return (JSON.parse(text) as IpLink[]).filter((link) => link.ifname !== 'lo');
  }

  /** One CNI call of a built executable, on this node. */
  call(plugin: string, verb: Verb, conf: JsonObject, options: CallOptions = {}): Promise<Outcome> {
    const { pod, containerId = pod === undefined ? 'c0' : `c-${pod}`, ifname = 'net1' } = options;
    const netns = options.netns ?? (pod === undefined ? '' : this.netnsPath(pod));
    const command = options.command ?? [join(DIST_BIN, plugin)];
    const env: Record<string, string> = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: ifname,
      CNI_PATH: DIST_BIN,
      ...(netns === '' ? {} : { CNI_NETNS: netns }),
      ...(options.args === undefined ? {} : { CNI_ARGS: options.args }),
      ...options.env,
    };
    return run(['ip', 'netns', 'exec', this.name, ...command], env, JSON.stringify(conf), options.spawned);
  }

  /** Any other command, on this node. Its standard output is text. */
  command(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return run(['ip', 'netns', 'exec', this.name, ...words], env, '');
  }

  /** Removes everything. @throws Error when an invariant of the store is broken: checked here, after every test */
  close(): void {
    this.endProcesses();
    const broken = this.brokenInvariants();
    for (const name of this.namespaces) ip('netns', 'del', name);
    this.namespaces.clear();
    rmSync(this.directory, { recursive: true, force: true });
    if (broken.length > 0) throw new Error(`the store is broken: ${broken.join('; ')}`);
  }

  /** What a test was interrupted in the middle of would go on writing into the directory. */
  private endProcesses(): void {
    if (!this.namespaces.has(this.name)) return;
    for (;;) {
      const pids = ip('netns', 'pids', this.name).split('\n').filter(Boolean).map(Number);
      if (pids.length === 0) return;
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
        }
      }
    }
  }

  private brokenInvariants(): string[] {
    if (!existsSync(join(this.stateDir, 'state.db'))) return [];
    try {
      const store = openNodeStore(this.stateDir);
      try {
        return checkState(store).broken;
      } finally {
        store.close();
      }
    } catch (error) {
      // A test that damages the file looks at that by itself.
      if (isManifoldError(error, 'state')) return [];
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

export interface IpLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly ifalias?: string;
  readonly altnames?: readonly string[];
  readonly promiscuity: number;
  readonly linkinfo?: { readonly info_kind: string; readonly info_data?: JsonObject };
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}

/** Runs a program to its end. `env` is all of its environment but PATH. */
export function run(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  stdin: string,
  spawned?: (pid: number) => void,
): Promise<Outcome> {
  const [file = '', ...words] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, words, { env: { PATH: process.env.PATH ?? '', ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    // A program that ends without reading closes the pipe: no failure of the test.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    if (child.pid !== undefined) spawned?.(child.pid);
    child.on('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout,
        stderr,
        json: stdout.startsWith('{') ? (JSON.parse(stdout) as JsonObject) : {},
      }),
    );
  });
}
