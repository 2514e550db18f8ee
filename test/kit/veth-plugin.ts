// A foreign CNI plugin for the demo and the tests: a veth pair, its host end a port of a bridge that is there already.
// Stands in for a cluster's default network; exec'ed by path, as any plugin that is not ours.
import { execFileSync } from 'node:child_process';
import { env, exit } from 'node:process';
import * as v from 'valibot';
import type { AddCall, AttachmentCall, Plugin } from '../../pkg/cni/plugin.ts';
import { runProgram } from '../../pkg/cni/program.ts';
import { readStdin, writeAll } from '../../pkg/cni/stdio.ts';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';

const schema = v.object({ bridge: v.string(), ipam: v.object({ type: v.string() }) });
type Config = v.InferOutput<typeof schema>;

const kernel = createKernel();

const hostEnd = (call: AttachmentCall<Config>) => `v${call.containerId.slice(-7)}${call.ifname.slice(-5)}`;

async function add(call: AddCall<Config>) {
  const pod = kernel.open(call.netns);
  const host = kernel.host();
  host.createVeth({ name: hostEnd(call), peer: call.ifname }, pod);
  execFileSync('ip', ['link', 'set', hostEnd(call), 'master', call.config.bridge, 'up']);
  const result = await call.delegates.add(call.config.ipam.type, call.raw);
  const link = pod.link({ name: call.ifname });
  if (link === undefined) throw new Error(`no ${call.ifname}`);
  for (const ip of result.ips ?? []) pod.addAddress(link.index, { cidr: ip.address, nodad: true });
  pod.setLink(link.index, { up: true });
  const gateway = result.ips?.[0]?.gateway;
  if (gateway !== undefined) pod.addRoute({ dst: '0.0.0.0/0', gateway, index: link.index });
  return {
    ...result,
    interfaces: [{ name: call.ifname, mac: link.mac ?? '', sandbox: call.netns }],
    ips: (result.ips ?? []).map((ip) => ({ ...ip, interface: 0 })),
  };
}

const plugin: Plugin<Config> = {
  name: 'veth',
  summary: 'a veth pair into a bridge',
  config: schema,
  add,
  async del(call) {
    await call.delegates.del(call.config.ipam.type, call.raw);
    const link = kernel.host().link({ name: hostEnd(call) });
    if (link !== undefined) kernel.host().deleteLinks([link.index]);
  },
  async check(call) {
    await call.delegates.check(call.config.ipam.type, call.raw);
    if (kernel.host().link({ name: hostEnd(call) }) === undefined) throw new Error('the host end is gone');
  },
  status: (call) => call.delegates.status(call.config.ipam.type, call.raw),
  gc: (call) => call.delegates.gc(call.config.ipam.type, call.raw),
};

exit(
  await runProgram(plugin, {
    env,
    readStdin,
    stdout: (text) => writeAll(1, text),
    stderr: (text) => writeAll(2, text),
    plugins: new Map(),
  }),
);
