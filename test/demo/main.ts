// make demo: two pods, each with a default network, two macvlans and a whole NIC; a ping over each; all of it undone.
// The node is a network namespace of its own: nothing on this machine's own network is touched.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exit, hrtime, pid, stdout } from 'node:process';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { ping } from '../kit/ping.ts';
import { DIST_BIN, ip, NODE, type Outcome, TestNode } from '../kit/test-node.ts';

const started = hrtime.bigint();
const say = (text = '') => stdout.write(`${text}\n`);
const PODS = [
  { name: 'pod-a', networks: 'rail0, storage, port-a@nic0' },
  { name: 'pod-b', networks: 'rail0, storage, port-b@nic0' },
] as const;
const INTERFACES = ['eth0', 'net1', 'net2', 'nic0'];
const NICS = ['rail0', 'storage0', 'port-a', 'port-b'];
/** What ADD printed, for CHECK and DEL. */
const results = new Map<string, JsonObject>();

sweep();
const node = new TestNode(`manifold-demo-${pid}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    say('\nInterrupted: everything that the demo made is removed.');
    exit(130);
  });

process.on('exit', () => node.close());

await demo();

/** What a demo that was killed (kill -9) left: its namespaces carry its process ID. */
function sweep(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const name = line.split(' ')[0] ?? '';
    const owner = /^manifold-demo-(\d+)/.exec(name)?.[1];
    if (owner === undefined) continue;
    try {
      process.kill(Number(owner), 0);
    } catch {
      ip('netns', 'del', name); // nobody has this process ID any more
    }
  }
}

async function demo(): Promise<void> {
  const { binDir, conf } = setUp();
  const before = nics();

  say('\nADD: the runtime calls manifold once for each pod');
  for (const { name, networks } of PODS) {
    say(`  ${name}  networks: ${networks}`);
    succeed(await callManifold('ADD', name));
  }

  say('\nWhat the pods have');
  const found = PODS.map(({ name }) => ({ name, links: node.links(name) }));
  say(
    `  ${'POD'.padEnd(7)}${'INTERFACE'.padEnd(11)}${'KIND'.padEnd(9)}${'MAC'.padEnd(19)}${'MTU'.padEnd(6)}ADDRESSES`,
  );
  for (const { name, links } of found)
    for (const link of links) {
      const kind = link.ifname === 'nic0' ? 'device' : (link.linkinfo?.info_kind ?? '');
      const addresses = global(link).map((a) => `${a.local}/${a.prefixlen}`);
      say(
        `  ${name.padEnd(7)}${link.ifname.padEnd(11)}${kind.padEnd(9)}${link.address.padEnd(19)}${String(link.mtu).padEnd(6)}${addresses.join(' ')}`,
      );
    }

  say('\nPing from pod-a to pod-b over each network');
  let failed = 0;
  for (const ifname of INTERFACES) {
    const to = found[1]?.links.find((link) => link.ifname === ifname);
    if (to === undefined) throw new Error(`pod-b has no ${ifname}`);
    for (const { local } of global(to)) {
      const answered = ping(node.netnsPath('pod-a'), local);
      if (!answered) failed++;
      say(`  ${ifname.padEnd(6)}${local.padEnd(22)}${answered ? 'answers' : 'DOES NOT ANSWER'}`);
    }
  }

  say('\nCHECK, then DEL');
  for (const { name } of PODS) succeed(await callManifold('CHECK', name));
  for (const { name } of PODS) succeed(await callManifold('DEL', name));

  say('\nWhat is left');
  const left = PODS.flatMap(({ name }) => node.links(name).map((link) => `${name}/${link.ifname}`));
  const same = JSON.stringify(nics()) === JSON.stringify(before);
  const state = succeed(await callCli('check-state'));
  say(`  interfaces in the pods: ${left.length === 0 ? 'none' : left.join(', ')}`);
  say(`  the node's NICs: ${same ? 'back, as they were' : 'CHANGED'}`);
  for (const line of state.stdout.trim().split('\n')) say(`  store: ${line}`);
  const seconds = Number(hrtime.bigint() - started) / 1e9;
  if (failed > 0 || left.length > 0 || !same) throw new Error('the demo did not end as it should: see above');
  say(`\nDone in ${seconds.toFixed(1)} s. The demo's namespaces are removed now.`);

  function callManifold(verb: 'ADD' | 'CHECK' | 'DEL', pod: string): Promise<Outcome> {
    const networks = PODS.find((p) => p.name === pod)?.networks ?? '';
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod};K8S_POD_UID=uid-${pod};MANIFOLD_NETWORKS=${networks}`;
    const config = verb === 'ADD' ? conf : { ...conf, prevResult: results.get(pod) };
    return node
      .call('manifold', verb, config, { pod, ifname: 'eth0', args, env: { CNI_PATH: binDir } })
      .then((outcome) => {
        if (verb === 'ADD') results.set(pod, outcome.json);
        return outcome;
      });
  }
}

function callCli(command: string): Promise<Outcome> {
  return node.command([join(DIST_BIN, 'manifold'), command, '--state-dir', node.stateDir]);
}

/** A node with NICs and a bridge, two pods, and a directory of plugins: our executables and a foreign one, veth. */
function setUp(): { binDir: string; conf: JsonObject } {
  say(`The node is the namespace ${node.name}, with four NICs (veth pairs stand in for them):`);
  node.ip('link', 'add', 'cni0', 'type', 'bridge');
  node.ip('addr', 'add', '10.85.0.1/24', 'dev', 'cni0');
  node.ip('link', 'set', 'cni0', 'up');
  node.ip('link', 'add', 'switch', 'type', 'bridge');
  node.ip('link', 'set', 'switch', 'up');
  for (const nic of NICS) {
    node.addNic(nic);
    node.ip('link', 'set', `${nic}-w`, 'master', 'switch');
    say(`  ${nic}`);
  }
  for (const { name } of PODS) node.addPod(name);

  const binDir = join(node.directory, 'bin');
  mkdirSync(binDir);
  for (const plugin of ['manifold', 'macvlan', 'host-device', 'manifold-ipam'])
    symlinkSync(join(DIST_BIN, plugin), join(binDir, plugin));
  const veth = join(binDir, 'veth');
  const main = join(import.meta.dirname, '../kit/veth-plugin.ts');
  writeFileSync(veth, `#!/bin/sh\nexec ${NODE.join(' ')} ${main}\n`);
  chmodSync(veth, 0o755);

  const networksDir = join(import.meta.dirname, '../../examples/networks');
  const conf: JsonObject = {
    cniVersion: '1.1.0',
    name: 'demo',
    type: 'manifold',
    delegates: [
      {
        cniVersion: '1.1.0',
        name: 'default',
        type: 'veth',
        bridge: 'cni0',
        ipam: { type: 'manifold-ipam', range: '10.85.0.0/24', gateway: '10.85.0.1' },
        manifold: node.manifold,
      },
    ],
    cniDir: join(node.directory, 'cache'),
    manifold: { ...node.manifold, networksDir },
  };
  say(`The definitions are those of ${networksDir}.`);
  return { binDir, conf };
}

/** The node's NICs with all that must come back: name, MAC, MTU, flags. */
function nics(): unknown {
  return node
    .links()
    .filter((link) => NICS.includes(link.ifname))
    .map(({ ifname, ifindex, address, mtu, flags }) => ({ ifname, ifindex, address, mtu, flags }));
}

function global(link: { addr_info: TestLinkAddresses }): TestLinkAddresses {
  return link.addr_info.filter((address) => address.scope === 'global');
}

type TestLinkAddresses = ReturnType<TestNode['links']>[number]['addr_info'];

function succeed(outcome: Outcome): Outcome {
  if (outcome.code !== 0)
    throw new Error(`manifold failed (${outcome.code}): ${outcome.stdout}${outcome.stderr}`);
  return outcome;
}
