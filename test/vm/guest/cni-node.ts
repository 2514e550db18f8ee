// A node inside the guest that calls our plugins: in this process, as the meta plugin does, or as programs that die.
import { deepEqual } from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';
import { createHostDevice } from '../../../cni/host-device/plugin.ts';
import { createSriov } from '../../../cni/sriov/plugin.ts';
import { ipamInside } from '../../../meta/bin/ipam-inside.ts';
import { createProgramDeps, type ProgramDeps } from '../../../meta/bin/program-deps.ts';
import type { CreatePlugins } from '../../../meta/bin/start.ts';
import { answerCall } from '../../../pkg/cni/answer.ts';
import type { JsonObject, Plugin, Verb } from '../../../pkg/cni/plugin.ts';
import { silentLogger } from '../../../pkg/log/logger.ts';
import { checkState } from '../../../pkg/state/check-state.ts';
import type { InterfaceRecord } from '../../../pkg/state/node-store.ts';
import { makeNetns, type TestNetns } from '../../kit/netns.ts';
import { describePorts, difference, renewPorts } from './ports.ts';
import type { Vm } from './vm.ts';

const standAlone: CreatePlugins = (deps) => [createSriov(deps), createHostDevice(deps), ...ipamInside(deps)];

const byName = (plugins: readonly Plugin[]): ReadonlyMap<string, Plugin> =>
  new Map(plugins.map((plugin) => [plugin.name, plugin]));

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** First argument of the guest's program when it is to be a plugin instead. */
export const PLUGIN_MODE = 'plugin';

const PLUGIN_ARGV = ['--disable-warning=ExperimentalWarning', argv[1] ?? '', PLUGIN_MODE];

export interface ProcessEnd {
  readonly ok: boolean;
  readonly killed: boolean;
  /** All that it wrote. */
  readonly text: string;
}

export interface CniAnswer {
  readonly exitCode: number;
  readonly output: JsonObject;
  /** Message and details of an error, in one text. */
  readonly text: string;
}

export interface CniOptions {
  /** @default the pod's name */
  readonly containerId?: string;
  readonly ifname?: string;
  /** Of CNI_ARGS, beside namespace and name. */
  readonly args?: string;
  /** @default the namespace's */
  readonly podName?: string;
  /** @default "ns" */
  readonly podNamespace?: string;
  /** CNI_NETNS is empty: the runtime knows of none any more. */
  readonly noNetns?: boolean;
}

export class CniNode {
  readonly #vm: Vm;
  readonly #create: CreatePlugins;
  readonly #directory = mkdtempSync(join(tmpdir(), 'manifold-vm-'));
  #before: string;
  #deps: ProgramDeps = createProgramDeps(silentLogger);
  #plugins: ReadonlyMap<string, Plugin>;
  /** What the plugins have logged. */
  log = '';

  /** What the case has made is removed when it is over. */
  constructor(vm: Vm, create: CreatePlugins = standAlone) {
    this.#vm = vm;
    this.#create = create;
    this.#before = describePorts(vm.kernel, vm.ports);
    this.#plugins = byName(create(this.#deps));
    vm.defer(() => {
      vm.log(this.log);
      this.#store().close();
      rmSync(this.#directory, { recursive: true });
    });
  }

  /**
   * What is left of a node after a reboot: its state, but neither namespaces, nor /run, nor what its functions were.
   * The kernel's boot_id is covered by a file with another.
   */
  async reboot(pods: readonly TestNetns[]): Promise<void> {
    for (const pod of pods) this.#vm.run('ip', 'netns', 'del', pod.name);
    // At boot ports have these names; from a namespace they come back under others.
    for (const [at, port] of this.#vm.ports.entries()) {
      const { index } = await this.#vm.until('the port', () => port.findLink());
      this.#vm.kernel.host().setLink(index, { up: false });
      this.#vm.kernel.host().setLink(index, { name: `eth${at}` });
    }
    await renewPorts(this.#vm.kernel, this.#vm.ports);
    const file = join(this.#directory, 'boot_id');
    writeFileSync(file, `${randomUUID()}\n`);
    this.#vm.run('mount', '--bind', file, BOOT_ID);
    this.#vm.defer(() => this.#vm.run('umount', BOOT_ID));
    this.#store().close();
    rmSync(join(this.#directory, 'run'), { recursive: true, force: true });
    this.#deps = createProgramDeps(silentLogger);
    this.#plugins = byName(this.#create(this.#deps));
    this.#before = describePorts(this.#vm.kernel, this.#vm.ports);
  }

  /** Namespaces of pods; removed when the case is over, unless it has removed them itself. */
  pod(): TestNetns {
    const netns = makeNetns();
    this.#vm.defer(() => {
      if (this.#vm.run('ip', 'netns', 'list').includes(netns.name)) netns[Symbol.dispose]();
    });
    return netns;
  }

  conf(keys: JsonObject): JsonObject {
    return {
      cniVersion: '1.1.0',
      name: 'rail',
      type: 'sriov',
      ipam: { type: 'manifold-ipam', range: '192.0.2.0/24' },
      manifold: { stateDir: join(this.#directory, 'state'), runDir: join(this.#directory, 'run') },
      ...keys,
    };
  }

  /** What the runtime sets for a call. */
  environment(verb: Verb, pod: TestNetns, options: CniOptions = {}): Record<string, string> {
    return environment(verb, pod, options);
  }

  async call(verb: Verb, keys: JsonObject, pod: TestNetns, options: CniOptions = {}): Promise<CniAnswer> {
    const conf = this.conf(keys);
    const plugin = this.#plugins.get(String(conf.type));
    if (plugin === undefined) throw new Error(`No plugin ${String(conf.type)}`);
    const { exitCode, output = {} } = await answerCall(plugin, () => JSON.stringify(conf), {
      env: environment(verb, pod, options),
      plugins: this.#plugins,
      stderr: (text) => {
        this.log += text;
      },
    });
    return { exitCode, output, text: `${output.msg ?? ''} ${output.details ?? ''}` };
  }

  /** As call; fails with the plugin's words when it does. @returns what the plugin printed */
  async ok(verb: Verb, keys: JsonObject, pod: TestNetns, options: CniOptions = {}): Promise<JsonObject> {
    const { exitCode, output, text } = await this.call(verb, keys, pod, options);
    if (exitCode !== 0) throw new Error(`${verb} failed: ${text}`);
    return output;
  }

  /** The call fails. @returns message and details */
  async refused(verb: Verb, keys: JsonObject, pod: TestNetns, options: CniOptions = {}): Promise<string> {
    const { exitCode, output, text } = await this.call(verb, keys, pod, options);
    if (exitCode === 0) throw new Error(`${verb} succeeded: ${JSON.stringify(output)}`);
    return text;
  }

  /** A process of its own, beside others. @param killAfterMs killed then, if it still runs */
  async process(verb: Verb, keys: JsonObject, pod: TestNetns, killAfterMs?: number): Promise<ProcessEnd> {
    const child = spawn(execPath, PLUGIN_ARGV, { env: environment(verb, pod, {}) });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
    child.stdin.end(JSON.stringify(this.conf(keys)));
    const timer =
      killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    return { ok: code === 0, killed: signal === 'SIGKILL', text };
  }

  /**
   * A process of its own, beside others, that kills itself some milliseconds after it has come to its n-th step.
   * @returns false when it was over before
   */
  async killedAfter(
    verb: Verb,
    keys: JsonObject,
    pod: TestNetns,
    { step, ms, ...options }: CniOptions & { readonly step: number; readonly ms: number },
  ): Promise<boolean> {
    const kill = { MANIFOLD_TEST_KILL_AT: String(step), MANIFOLD_TEST_KILL_AFTER_MS: String(ms) };
    const child = spawn(execPath, PLUGIN_ARGV, {
      env: { ...environment(verb, pod, options), ...kill },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    child.stdin.end(JSON.stringify(this.conf(keys)));
    const [, signal] = await once(child, 'close');
    return signal === 'SIGKILL';
  }

  /** A process of its own that kills itself at its n-th step. @returns whether it came so far */
  killed(verb: Verb, keys: JsonObject, pod: TestNetns, killAt: number): boolean {
    const child = spawnSync(execPath, PLUGIN_ARGV, {
      input: JSON.stringify(this.conf(keys)),
      env: { ...environment(verb, pod, {}), MANIFOLD_TEST_KILL_AT: String(killAt) },
      encoding: 'utf8',
    });
    this.log += `${child.stderr}${child.stdout}\n`;
    return child.signal === 'SIGKILL';
  }

  records(): InterfaceRecord[] {
    return this.#store().interfaces.all();
  }

  /** Every virtual function is on the host as it was at the beginning, and nothing of this node's is noted any more. */
  expectAsBefore(): void {
    const pods = (line: string) => !/^. namespaces /.test(line);
    const left = difference(this.#before, describePorts(this.#vm.kernel, this.#vm.ports)).filter(pods);
    deepEqual(left, []);
    deepEqual(this.records(), []);
    deepEqual(this.#store().attachments.all(), []);
    deepEqual(checkState(this.#store()).broken, []);
  }

  #store() {
    return this.#deps.openStore({
      stateDir: join(this.#directory, 'state'),
      runDir: join(this.#directory, 'run'),
    });
  }
}

function environment(verb: Verb, pod: TestNetns, options: CniOptions) {
  const { containerId, ifname, noNetns, args, podName = pod.name, podNamespace = 'ns' } = options;
  return {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId ?? pod.name,
    CNI_NETNS: noNetns ? '' : pod.path,
    CNI_IFNAME: ifname ?? 'net1',
    CNI_PATH: '/nowhere',
    CNI_ARGS: `K8S_POD_NAMESPACE=${podNamespace};K8S_POD_NAME=${podName}${args === undefined ? '' : `;${args}`}`,
  };
}
