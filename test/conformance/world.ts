// A throw-away world for one row: a namespace that stands for the host, pods, a directory, and the plugin called in it.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeChainedPod } from './chained-pod.ts';
import { describe, exec, jsonOf, type Outcome } from './exec.ts';
import { isObject, type Json, type JsonObject, stringOf } from './json.ts';
import { ip, ipBatch, type LinkView, readLinks } from './kernel-view.ts';
import { Recorder } from './recorder.ts';
import { fail, notApplicable } from './row.ts';
import type { Target } from './target.ts';

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

export interface Pod {
  readonly containerId: string;
  readonly ifname: string;
  readonly netnsName: string;
  readonly netnsPath: string;
  /** What a chained plugin is given; undefined for the other kinds. */
  readonly prevResult: JsonObject | undefined;
}

export interface Attachment {
  readonly pod: Pod;
  readonly conf: JsonObject;
  readonly result: JsonObject;
}

export interface CallOptions {
  readonly pod?: Pod;
  readonly conf?: JsonObject;
  /** In place of a configuration: exactly these bytes. */
  readonly stdin?: string;
  /** Over what the verb is normally given; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export class World implements AsyncDisposable {
  readonly target: Target;
  readonly directory: string;
  /** Name of the namespace that stands for the host; undefined where the real host does. */
  readonly host: string | undefined;
  readonly #suffix = randomBytes(4).toString('hex');
  readonly #namespaces: string[] = [];
  readonly #held = new Map<string, { pod: Pod; options: CallOptions }>();
  #recorder: Recorder | undefined;
  #pods = 0;
  readonly #running: Promise<Outcome>[] = [];

  private constructor(target: Target, directory: string) {
    this.target = target;
    this.directory = directory;
    this.host = target.isolated ? `cnf-host-${this.#suffix}` : undefined;
  }

  static async open(target: Target): Promise<World> {
    const world = new World(target, await mkdtemp(join(tmpdir(), 'cni-conformance-')));
    try {
      await world.#prepareHost();
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  /** A new container: a namespace of its own, and for a chained plugin the interface that stands in it already. */
  async pod(change: { readonly containerId?: string; readonly ifname?: string } = {}): Promise<Pod> {
    this.#pods += 1;
    const netnsName = await this.#addNamespace(`cnf-pod${this.#pods}-${this.#suffix}`);
    const pod = {
      containerId: change.containerId ?? `cnf-${this.#suffix}-${this.#pods}`,
      ifname: change.ifname ?? 'net1',
      netnsName,
      netnsPath: `/run/netns/${netnsName}`,
      prevResult: undefined,
    };
    if (this.target.kind !== 'chained') return pod;
    return {
      ...pod,
      prevResult: await makeChainedPod(pod, this.host, this.#pods, this.target.conf),
    };
  }

  /** The configuration as a runtime sends it, under a network name of this world's own. */
  conf(change: JsonObject = {}): JsonObject {
    const { prevResult: _, ...base } = this.target.conf;
    const text = JSON.stringify(base).replaceAll('@TMP@', this.directory);
    const own: JsonObject = JSON.parse(text) as JsonObject;
    const name = `${stringOf(own.name) ?? 'conformance'}-${this.#suffix}`;
    return { ...this.#withDirectories(own), cniVersion: this.target.newest, name, ...change };
  }

  /** Executes the plugin once. What it holds afterwards is given back when the world is closed. */
  async call(verb: Verb, options: CallOptions): Promise<Outcome> {
    const { pod } = options;
    const env: Record<string, string> = { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' };
    for (const [key, value] of Object.entries({ ...this.environment(verb, pod), ...options.env })) {
      if (value !== undefined) env[key] = value;
    }
    const stdin = options.stdin ?? JSON.stringify(this.#request(verb, pod, options.conf ?? {}));
    const running = exec([...this.#enterHost(), this.target.plugin], { env, stdin });
    this.#running.push(running);
    const outcome = await running;
    if (pod !== undefined && options.stdin === undefined) {
      const key = `${env.CNI_CONTAINERID} ${env.CNI_IFNAME}`;
      // A runtime calls DEL for an ADD that failed, too (section 3, Lifecycle & Ordering).
      if (verb === 'ADD') this.#held.set(key, { pod, options });
      if (verb === 'DEL' && outcome.exitCode === 0) this.#held.delete(key);
    }
    return outcome;
  }

  /** The CNI_* variables that a runtime sets for this verb. */
  environment(verb: Verb, pod: Pod | undefined): Readonly<Record<string, string>> {
    const path = { CNI_COMMAND: verb, CNI_PATH: this.#cniPath().join(':') };
    if (verb === 'VERSION') return { CNI_COMMAND: verb };
    if (pod === undefined) return path;
    return { ...path, CNI_CONTAINERID: pod.containerId, CNI_NETNS: pod.netnsPath, CNI_IFNAME: pod.ifname };
  }

  /** ADD that the row stands on: the row fails where it does. */
  async add(pod: Pod, conf: JsonObject = this.conf(), env: CallOptions['env'] = {}): Promise<Attachment> {
    const outcome = await this.call('ADD', { pod, conf, env });
    const result = jsonOf(outcome);
    if (outcome.exitCode !== 0 || !isObject(result)) fail(`ADD failed: ${describe(outcome)}`);
    return { pod, conf, result };
  }

  /** DEL or CHECK as a runtime sends it: with the result of ADD. */
  async after(verb: 'DEL' | 'CHECK', attachment: Attachment, env: CallOptions['env'] = {}): Promise<Outcome> {
    const conf = { ...attachment.conf, prevResult: attachment.result };
    return this.call(verb, { pod: attachment.pod, conf, env });
  }

  /** As after('DEL'), for a row that stands on it. */
  async del(attachment: Attachment): Promise<void> {
    const outcome = await this.after('DEL', attachment);
    if (outcome.exitCode !== 0) fail(`DEL failed: ${describe(outcome)}`);
  }

  /** An IPAM plugin of the harness that writes down how it was called. Ends the row where none is delegated to. */
  async recorder(): Promise<Recorder> {
    const ipam = this.target.conf.ipam;
    if (!isObject(ipam) || ipam.type === undefined)
      notApplicable('the configuration has no ipam to delegate to');
    this.#recorder ??= await Recorder.make(this.directory, this.target.newest);
    return this.#recorder;
  }

  async linksOf(pod: Pod): Promise<readonly LinkView[]> {
    return readLinks(pod.netnsName);
  }

  /** Takes the pod's interface away, as a careless administrator would. */
  async deleteLink(pod: Pod): Promise<void> {
    if (this.host === undefined && this.target.exclusive) notApplicable('a real device cannot be deleted');
    await ip(pod.netnsName, 'link', 'del', pod.ifname);
  }

  async deleteNamespace(pod: Pod): Promise<void> {
    await ip(undefined, 'netns', 'del', pod.netnsName);
    this.#namespaces.splice(this.#namespaces.indexOf(pod.netnsName), 1);
  }

  async close(): Promise<void> {
    // A row that fails beside calls in parallel leaves them running.
    await Promise.allSettled(this.#running);
    await this.#recorder?.recover();
    for (const { pod, options } of this.#held.values()) await this.call('DEL', { ...options, pod });
    for (const name of this.#namespaces) await ip(undefined, 'netns', 'del', name);
    await rm(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #addNamespace(name: string): Promise<string> {
    await ip(undefined, 'netns', 'add', name);
    this.#namespaces.push(name);
    return name;
  }

  /** Every device that the configuration names is one end of a veth pair in the namespace that stands for the host. */
  async #prepareHost(): Promise<void> {
    if (this.host === undefined) return;
    await this.#addNamespace(this.host);
    const devices = ['master', 'device'].map((key) => stringOf(this.target.conf[key]));
    const lines = devices
      .filter((name) => name !== undefined && name !== '')
      .flatMap((name, index) => [
        `link add ${name} type veth peer name cnf-peer${index}`,
        `link set ${name} up`,
        `link set cnf-peer${index} up`,
      ]);
    await ipBatch(this.host, ['link set lo up', ...lines]);
    if (this.target.setup === undefined) return;
    const env = { PATH: process.env.PATH ?? '' };
    const outcome = await exec([...this.#enterHost(), 'sh', '-ec', this.target.setup], { env });
    if (outcome.exitCode !== 0) throw new Error(`Cannot run the setup commands: ${describe(outcome)}`);
  }

  #enterHost(): readonly string[] {
    return this.host === undefined ? [] : ['nsenter', `--net=/run/netns/${this.host}`, '--'];
  }

  #cniPath(): readonly string[] {
    return this.#recorder === undefined
      ? this.target.cniPath
      : [this.#recorder.directory, ...this.target.cniPath];
  }

  #request(verb: Verb, pod: Pod | undefined, conf: JsonObject): JsonObject {
    if (verb !== 'ADD' || pod?.prevResult === undefined || conf.prevResult !== undefined) return conf;
    return { ...conf, prevResult: { ...pod.prevResult, cniVersion: conf.cniVersion } };
  }

  /** Two reference plugins keep files under a network's name for ever: theirs go into the row's directory. */
  #withDirectories(conf: JsonObject): JsonObject {
    const ipam: Json | undefined = conf.ipam;
    const ours = { dataDir: join(this.directory, 'state') };
    if (conf.type === 'tuning') return { ...ours, ...conf };
    return isObject(ipam) && ipam.type === 'host-local' ? { ...conf, ipam: { ...ours, ...ipam } } : conf;
  }
}
