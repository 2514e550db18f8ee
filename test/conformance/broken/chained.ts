// A chained plugin that sets an MTU and puts the old one back, honest but for its sin.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject } from '../json.ts';
import { type BrokenPlugin, type Call, Refusal } from './call.ts';
import { ipBatch, readLinks } from './ip.ts';

export const CHAINED: BrokenPlugin = {
  add(call) {
    const { sins, conf } = call;
    const given = conf.prevResult;
    if (!isObject(given)) throw new Refusal(7, 'prevResult is missing');
    if (!existsSync(call.netns)) throw new Refusal(8, `CNI_NETNS ${call.netns} is missing`);
    const link = readLinks(call.netns).find(({ name }) => name === call.ifname);
    if (link === undefined) throw new Refusal(7, `${call.ifname} is missing`);
    writeFileSync(savedMtu(call), `${link.mtu}`);
    ipBatch(call.netns, [`link set ${call.ifname} mtu ${conf.mtu}`]);
    const { dns, ...rest } = given;
    const kept: JsonObject = sins('add.prev-result') ? rest : { ...rest, dns };
    return { ...kept, ips: unversioned(kept.ips) };
  },
  del(call) {
    const file = savedMtu(call);
    const there = call.netns !== '' && readLinks(call.netns).some(({ name }) => name === call.ifname);
    if (there && existsSync(file))
      ipBatch(call.netns, [`link set ${call.ifname} mtu ${readFileSync(file, 'utf8')}`]);
    rmSync(file, { force: true });
  },
  check(call) {
    if (!isObject(call.conf.prevResult)) throw new Refusal(7, 'prevResult is missing');
    const link = readLinks(call.netns).find(({ name }) => name === call.ifname);
    if (link?.mtu !== call.conf.mtu) throw new Refusal(999, 'mtu differs');
  },
  status() {},
  gc() {},
};

function unversioned(ips: JsonObject['ips']): JsonObject['ips'] {
  return Array.isArray(ips) ? ips.filter(isObject).map(({ version: _, ...ip }) => ip) : ips;
}

function savedMtu({ conf, containerId, ifname }: Call): string {
  const directory = `${conf.dataDir}`;
  mkdirSync(directory, { recursive: true });
  return join(directory, `${containerId}-${ifname}`);
}
