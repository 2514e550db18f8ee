// libcni's own runtime, cnitool, over any directory of plugins: its cache and its namespaces are thrown away.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, exec, type Outcome } from '../conformance/exec.ts';
import type { JsonObject } from '../conformance/json.ts';
import { ip, ipBatch, type LinkView, readLinks } from '../conformance/kernel-view.ts';

const LIBCNI_CACHE = '/var/lib/cni';
const IFNAME = 'net1';
/** A mount namespace in which libcni's fixed cache directory is ours. */
const WITH_CACHE = `mount --bind "$1" ${LIBCNI_CACHE} && shift && exec "$@"`;

export interface CnitoolOptions {
  /** Path of cnitool. */
  readonly cnitool: string;
  /** CNI_PATH. */
  readonly path: readonly string[];
  /** One plugin's configuration; `@TMP@` in it stands for a directory that is thrown away. */
  readonly plugin: JsonObject;
  readonly cniVersion: string;
  /** Links that stand in the namespace that plays the host: ends of veth pairs, up. */
  readonly devices?: readonly string[];
}

/** One network, one pod, one host: all made for it and removed by its disposal. */
export class CnitoolScene implements AsyncDisposable {
  readonly #options: CnitoolOptions;
  readonly #directory: string;
  readonly #host: string;
  readonly #pod: string;
  readonly #madeCache: string | undefined;

  private constructor(options: CnitoolOptions, directory: string) {
    const suffix = randomBytes(4).toString('hex');
    this.#options = options;
    this.#directory = directory;
    this.#host = `cnitool-host-${suffix}`;
    this.#pod = `cnitool-pod-${suffix}`;
    this.#madeCache = mkdirSync(LIBCNI_CACHE, { recursive: true });
  }

  static async open(options: CnitoolOptions): Promise<CnitoolScene> {
    const scene = new CnitoolScene(options, await mkdtemp(join(tmpdir(), 'cnitool-')));
    try {
      await scene.#prepare();
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  /** @throws Error with what cnitool said where it fails */
  async run(verb: 'add' | 'check' | 'del' | 'gc' | 'status'): Promise<string> {
    const outcome = await this.try(verb);
    if (outcome.exitCode !== 0)
      throw new Error(`Cannot ${verb} by cnitool: ${describe(outcome)} ${outcome.stderr}`);
    return outcome.stdout;
  }

  async try(verb: string): Promise<Outcome> {
    const env = {
      PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_PATH: this.#options.path.join(':'),
      NETCONFPATH: join(this.#directory, 'conf'),
      CNI_IFNAME: IFNAME,
    };
    const inHost = [
      'nsenter',
      `--net=/run/netns/${this.#host}`,
      'unshare',
      '--mount',
      'sh',
      '-c',
      WITH_CACHE,
      'sh',
    ];
    const call = [
      join(this.#directory, 'cache'),
      this.#options.cnitool,
      verb,
      'net',
      `/run/netns/${this.#pod}`,
    ];
    return exec([...inHost, ...call], { env });
  }

  /** The interface that cnitool asked for, as the kernel shows it. */
  async interface(): Promise<LinkView | undefined> {
    return (await readLinks(this.#pod)).find(({ name }) => name === IFNAME);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [this.#pod, this.#host]) {
      const outcome = await exec(['ip', 'netns', 'del', name], { env: { PATH: process.env.PATH ?? '' } });
      const missing = outcome.stderr.includes('No such file');
      if (outcome.exitCode !== 0 && !missing) throw new Error(`Cannot delete ${name}: ${outcome.stderr}`);
    }
    await rm(this.#directory, { recursive: true, force: true });
    if (this.#madeCache !== undefined) removeIfEmpty(LIBCNI_CACHE);
  }

  async #prepare(): Promise<void> {
    const { plugin, cniVersion, devices = [] } = this.#options;
    await ipBatch(undefined, [`netns add ${this.#host}`, `netns add ${this.#pod}`]);
    const lines = devices.flatMap((name, index) => [
      `link add ${name} type veth peer name cnitool-peer${index}`,
      `link set ${name} up`,
      `link set cnitool-peer${index} up`,
    ]);
    await ip(this.#host, 'link', 'set', 'lo', 'up');
    await ipBatch(this.#host, lines);
    await Promise.all(['conf', 'cache', 'state'].map((name) => mkdir(join(this.#directory, name))));
    const list = JSON.stringify({ cniVersion, name: 'net', plugins: [plugin] });
    const text = list.replaceAll('@TMP@', join(this.#directory, 'state'));
    await writeFile(join(this.#directory, 'conf', '10-net.conflist'), text);
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    // Somebody else uses it meanwhile: then it is theirs.
    const kept =
      error instanceof Error && 'code' in error && ['ENOTEMPTY', 'EBUSY', 'ENOENT'].includes(`${error.code}`);
    if (!kept) throw error;
  }
}
