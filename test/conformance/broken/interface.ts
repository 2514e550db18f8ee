// An interface plugin on veth pairs, honest but for its sin.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject, objectsOf } from '../json.ts';
import { type BrokenPlugin, type Call, Refusal } from './call.ts';
import { ipamAdd, ipamCall } from './delegate.ts';
import { ipBatch, readLinks, readRoutes } from './ip.ts';

export const INTERFACE: BrokenPlugin = {
  add(call) {
    const { sins } = call;
    checkMaster(call);
    if (sins('gc.then-add') && existsSync(mark(call, 'collected'))) throw new Refusal(999, 'collected');
    const early = sins('lease.failed-add-frees') ? ipamAdd(call) : undefined;
    if (!existsSync(call.netns)) {
      if (sins('add.missing-netns')) return report(call, call.ifname, {});
      throw new Refusal(8, `CNI_NETNS ${call.netns} is missing`);
    }
    const ifname = sins('kernel.interface') ? 'net1' : call.ifname;
    if (readLinks(call.netns).some(({ name }) => name === ifname)) {
      if (sins('add.existing-ifname')) return report(call, ifname, {});
      if (sins('add.failure-changes-nothing')) ipBatch(call.netns, [`addr flush dev ${ifname}`]);
      throw new Refusal(999, `${ifname} exists`);
    }
    create(call, ifname);
    return connect(call, ifname, early);
  },
  del(call) {
    const { sins } = call;
    const there = call.netns !== '' && existsSync(call.netns);
    if (!sins('delegate.del') && !(sins('delegate.del-without-netns') && !there)) release(call);
    if (sins('del.no-prev-result') && call.conf.prevResult === undefined)
      throw new Refusal(7, 'no prevResult');
    if (sins('del.netns-deleted') && call.netns !== '' && !there)
      throw new Refusal(8, 'CNI_NETNS is missing');
    if (sins('del.removes')) return;
    if (sins('del.other-container')) deleteAll();
    if (!sins('del.host-side') && !(sins('del.netns-deleted-host-side') && !there)) deleteHostSide(call);
    if (!there) return;
    const own = readLinks(call.netns).filter(({ name }) => name !== 'lo');
    const links = own.filter(({ name }) => name === call.ifname || sins('add.second-ifname'));
    const picky = sins('del.twice', 'del.never-added', 'del.interface-gone');
    if (links.length === 0 && picky) throw new Refusal(999, `${call.ifname} is missing`);
    if (links.length > 0)
      ipBatch(
        call.netns,
        links.map(({ name }) => `link del ${name}`),
      );
  },
  check(call) {
    const { sins } = call;
    if (sins('check.after-add')) throw new Refusal(999, 'not yet');
    if (sins('check.repeated') && existsSync(mark(call, 'checked'))) throw new Refusal(999, 'once is enough');
    if (sins('check.repeated')) writeFileSync(mark(call, 'checked'), '');
    if (!sins('delegate.check')) forward(call, 'CHECK', 'delegate.check-error');
    const expected = call.conf.prevResult;
    if (!isObject(expected)) {
      if (sins('check.no-prev-result')) return;
      throw new Refusal(7, 'prevResult is missing');
    }
    compare(call, expected);
  },
  status(call) {
    if (call.sins('status.usable')) throw new Refusal(50, 'not today');
    if (!call.sins('status.device-missing')) checkMaster(call);
    if (!call.sins('delegate.status')) forward(call, 'STATUS', 'delegate.status-error');
  },
  gc(call) {
    const { sins } = call;
    const valid = objectsOf(call.conf['cni.dev/valid-attachments']);
    if (sins('gc.none-valid') && valid.length === 0) throw new Refusal(7, 'nothing is valid');
    if (sins('gc.then-add')) writeFileSync(mark(call, 'collected'), '');
    if (sins('gc.keeps-valid')) deleteAll();
    if (!sins('delegate.gc')) forward(call, 'GC', 'delegate.gc-error');
  },
};

function create(call: Call, ifname: string): void {
  const host = hostName(call, 'h');
  ipBatch(undefined, [
    `link add ${host} type veth peer name ${ifname} netns ${call.netns}`,
    `link set ${host} up`,
  ]);
  ipBatch(call.netns, [`link set ${ifname} up`]);
  if (call.sins('del.host-side', 'del.netns-deleted-host-side')) {
    ipBatch(undefined, [`link add ${hostName(call, 'b')} type bridge`]);
  }
}

/** Asks IPAM and gives the interface what it answers; takes all back where something fails. */
function connect(call: Call, ifname: string, early: JsonObject | undefined): JsonObject {
  const { sins } = call;
  let given: JsonObject;
  try {
    given = early ?? ipamAdd(call);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (sins('delegate.add-error')) return report(call, ifname, {});
    if (!sins('delegate.add-error-del')) ipamCall({ ...call, verb: 'DEL' });
    if (!sins('delegate.add-error-clean', 'lease.exhausted-clean'))
      ipBatch(call.netns, [`link del ${ifname}`]);
    if (sins('delegate.add-error-named')) throw new Refusal(999, 'IPAM failed');
    throw error;
  }
  try {
    ipBatch(call.netns, [...addressLines(call, ifname, given), ...routeLines(call, ifname, given)]);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (!sins('delegate.late-error-releases')) ipamCall({ ...call, verb: 'DEL' });
    if (!sins('delegate.late-error-clean')) ipBatch(call.netns, [`link del ${ifname}`]);
    throw error;
  }
  return report(call, ifname, given);
}

function addressLines({ sins }: Call, ifname: string, given: JsonObject): string[] {
  const lines = objectsOf(given.ips).map(
    ({ address }) => `addr add ${address} dev ${ifname} ${dad(address)}`,
  );
  if (sins('kernel.addresses')) return [];
  return sins('kernel.no-other-address') ? [...lines, `addr add 198.51.100.99/24 dev ${ifname}`] : lines;
}

function routeLines({ sins }: Call, ifname: string, given: JsonObject): string[] {
  if (sins('kernel.routes', 'delegate.result-applied', 'kernel.addresses')) return [];
  const gateway = objectsOf(given.ips)[0]?.gateway;
  return objectsOf(given.routes).map((route) => {
    const pairs = [
      ['mtu', 'mtu'],
      ['advmss', 'advmss'],
      ['priority', 'metric'],
      ['table', 'table'],
    ] as const;
    const wanted = pairs.filter(([key]) => route[key] !== undefined && !sins('delegate.route-attributes'));
    const words = wanted.map(([key, word]) => `${word} ${route[key]}`);
    return `route append ${route.dst} via ${route.gw ?? gateway} dev ${ifname} ${words.join(' ')}`;
  });
}

function report(call: Call, ifname: string, given: JsonObject): JsonObject {
  const { sins } = call;
  const link = readLinks(call.netns).find(({ name }) => name === ifname);
  const host = hostName(call, 'h');
  const mac = readLinks(undefined).find(({ name }) => name === host)?.mac ?? '';
  const own = {
    name: ifname,
    mac: sins('kernel.mac') ? '02:00:00:00:00:00' : (link?.mac ?? ''),
    mtu: sins('kernel.mtu') ? 9000 : (link?.mtu ?? 0),
    sandbox: sins('kernel.sandbox') ? '/proc/1/ns/net' : call.netns,
  };
  const ips = objectsOf(given.ips).map((ip) => ({ ...ip, interface: 0 }));
  const interfaces = sins('kernel.all-listed') ? [own] : [own, { name: host, mac }];
  return { interfaces, ips, routes: given.routes ?? [], dns: {} };
}

function compare(call: Call, expected: JsonObject): void {
  const { sins } = call;
  const link = readLinks(call.netns).find(({ name }) => name === call.ifname);
  if (link === undefined) {
    if (sins('check.interface-gone', 'check.interface-renamed')) return;
    throw new Refusal(999, `${call.ifname} is missing`);
  }
  const own = objectsOf(expected.interfaces).find(({ name }) => name === call.ifname);
  if (own?.mac !== link.mac && !sins('check.mac-changed')) throw new Refusal(999, 'mac differs');
  const wanted = objectsOf(expected.ips).map(({ address }) => `${address}`);
  const lost = wanted.some((address) => !link.addresses.includes(address));
  if (lost && !sins('check.address-gone')) throw new Refusal(999, 'an address is missing');
  if (sins('check.later-plugin') && wanted.length > 1) throw new Refusal(999, 'an address too many');
  const routes = readRoutes(call.netns);
  const gone = objectsOf(expected.routes).some(({ dst }) => !routes.includes(`${dst}`));
  // A route goes with its address: that sin must not be caught here.
  if (gone && !sins('check.route-gone', 'check.address-gone')) throw new Refusal(999, 'a route is missing');
}

function checkMaster({ conf }: Call): void {
  const master = conf.master;
  const there = master === undefined || readLinks(undefined).some(({ name }) => name === master);
  if (!there) throw new Refusal(7, `master ${master} is missing`);
}

function forward(call: Call, verb: string, deaf: string): void {
  const failed = ipamCall({ ...call, verb });
  if (failed !== undefined && !call.sins(deaf)) throw failed;
}

function release(call: Call): void {
  forward(call, 'DEL', 'delegate.del-error');
}

function deleteHostSide(call: Call): void {
  const bridge = hostName(call, 'b');
  if (readLinks(undefined).some(({ name }) => name === bridge)) ipBatch(undefined, [`link del ${bridge}`]);
}

function deleteAll(): void {
  for (const { name } of readLinks(undefined).filter((link) => /^h[0-9a-f]{10}$/.test(link.name))) {
    ipBatch(undefined, [`link del ${name}`]);
  }
}

function hostName({ containerId, ifname }: Call, letter: string): string {
  return letter + createHash('sha256').update(`${containerId} ${ifname}`).digest('hex').slice(0, 10);
}

function mark({ conf }: Call, name: string): string {
  const directory = `${conf.dataDir}`;
  mkdirSync(directory, { recursive: true });
  return join(directory, name);
}

function dad(address: unknown): string {
  return `${address}`.includes(':') ? 'nodad' : '';
}
