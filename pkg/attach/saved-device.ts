// What a device was before the first change, as it stands in its record, and the way back. Pure.
import * as v from 'valibot';
import type { JsonObject } from '../cni/plugin.ts';
import type { Address, Link, LinkChange, NewRoute, Route } from '../kernel/kernel.ts';

const linkSchema = v.object({
  index: v.number(),
  name: v.string(),
  kind: v.optional(v.string()),
  mac: v.optional(v.string()),
  permMac: v.optional(v.string()),
  /** "pci/0000:3b:00.2" */
  bus: v.optional(v.string()),
  /** Where one device has several interfaces: representors, ports. */
  portName: v.optional(v.string()),
  portId: v.optional(v.string()),
  mtu: v.number(),
  up: v.boolean(),
  promisc: v.boolean(),
  allmulti: v.boolean(),
  multicast: v.boolean(),
  arp: v.boolean(),
  txQueueLength: v.number(),
  group: v.number(),
  alias: v.string(),
  altnames: v.array(v.string()),
  /** The other end of a veth. */
  parentIndex: v.optional(v.number()),
});

const savedSchema = v.object({
  /** How the device was on the host. */
  host: linkSchema,
  /** What the host had on it: only where the configuration forced it out of the host's hands. */
  addresses: v.array(v.string()),
  routes: v.array(
    v.object({
      dst: v.string(),
      gateway: v.optional(v.string()),
      source: v.optional(v.string()),
      priority: v.number(),
      table: v.number(),
      scope: v.number(),
      protocol: v.number(),
      mtu: v.optional(v.number()),
      advmss: v.optional(v.number()),
    }),
  ),
  /** The bridge, bond or VRF that it was a port of. */
  master: v.optional(v.string()),
  /** Its index in the pod, once it is there. */
  index: v.optional(v.number()),
});

export type SavedDevice = v.InferOutput<typeof savedSchema>;
type SavedRoute = SavedDevice['routes'][number];

/** A saved route as the kernel takes it. */
export const routeOf = (route: SavedRoute, index: number): NewRoute => ({ ...defined(route), index });

/** Undefined for a record of a device that was not moved (a user-space driver). */
export function readSaved(saved: JsonObject): SavedDevice | undefined {
  const parsed = v.safeParse(savedSchema, saved);
  return parsed.success ? parsed.output : undefined;
}

const RTPROT_KERNEL = 2;
const RT_TABLE_LOCAL = 255;

/** @param addresses @param routes all of the device, as the host has them @param master what it is a port of */
export function describeDevice(
  link: Link,
  addresses: readonly Address[],
  routes: readonly Route[],
  master: Link | undefined,
): SavedDevice {
  const { index, name, mac, permMac, mtu, up, promisc, allmulti, multicast, arp, txQueueLength, group } =
    link;
  return {
    host: {
      index,
      name,
      ...(link.kind === undefined ? {} : { kind: link.kind }),
      ...(mac === undefined ? {} : { mac }),
      ...(permMac === undefined ? {} : { permMac }),
      ...(link.device === undefined ? {} : { bus: `${link.device.bus}/${link.device.name}` }),
      ...(link.portName === undefined ? {} : { portName: link.portName }),
      ...(link.portId === undefined ? {} : { portId: link.portId }),
      ...{ mtu, up, promisc, allmulti, multicast, arp, txQueueLength, group },
      alias: link.alias ?? '',
      altnames: [...link.altnames],
      ...(link.parentIndex === undefined ? {} : { parentIndex: link.parentIndex }),
    },
    addresses: addresses.filter((a) => !isLinkLocal(a.cidr)).map((a) => a.cidr),
    routes: routes
      .filter((route) => route.protocol !== RTPROT_KERNEL && route.table !== RT_TABLE_LOCAL)
      .map(({ index: _index, type: _type, ...route }) => defined(route)),
    ...(master === undefined ? {} : { master: master.name }),
  };
}

export const isLinkLocal = (cidr: string): boolean => /^fe[89ab]/i.test(cidr);

/** What must be set on the device, back on the host, to make it what it was. Up comes last, apart from this. */
export function planRestore(saved: SavedDevice, now: Link): LinkChange[] {
  const { host } = saved;
  const changes: LinkChange[] = [];
  // That of InfiniBand follows from its port's GUID.
  if (host.mac !== undefined && host.mac !== now.mac && !now.infiniband) changes.push({ mac: host.mac });
  if (host.mtu !== now.mtu) changes.push({ mtu: host.mtu });
  if (host.txQueueLength !== now.txQueueLength) changes.push({ txQueueLength: host.txQueueLength });
  if (host.group !== now.group) changes.push({ group: host.group });
  if (host.alias !== (now.alias ?? '')) changes.push({ alias: host.alias });
  for (const flag of ['promisc', 'allmulti', 'multicast', 'arp'] as const)
    if (host[flag] !== now[flag]) changes.push({ [flag]: host[flag] });
  const extra = now.altnames.filter((name) => !host.altnames.includes(name));
  const lost = host.altnames.filter((name) => !now.altnames.includes(name));
  if (extra.length > 0) changes.push({ removeAltnames: extra });
  if (lost.length > 0) changes.push({ addAltnames: lost });
  return changes;
}

/** Without the keys that are undefined. */
function defined<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/**
 * Whether a link is the device of the record: by what a pod cannot change (bus address, the hardware's MAC). A virtual
 * device has neither. On the host, where other links come and go, two things must agree then: a name alone, or an
 * index alone, may be another's by now.
 * @param podName the interface's name in the pod; undefined for a link of the host
 */
export function isDevice(saved: SavedDevice, link: Link, podName: string | undefined): boolean {
  const { host } = saved;
  if (host.bus !== undefined)
    return (
      link.device !== undefined &&
      `${link.device.bus}/${link.device.name}` === host.bus &&
      (host.portName === undefined || host.portName === link.portName) &&
      (host.portId === undefined || host.portId === link.portId)
    );
  if (host.permMac !== undefined && link.permMac !== undefined) return host.permMac === link.permMac;
  if (host.kind !== link.kind) return false;
  const sameMac = host.mac !== undefined && link.mac === host.mac;
  // In the pod its index on the host says nothing: another interface may have it there.
  if (podName !== undefined)
    return saved.index === undefined ? sameMac && link.name === podName : link.index === saved.index;
  // The kernel gives a moved link another index where its own is taken, and does not give it back.
  const sameIndex = link.index === host.index || link.index === saved.index;
  const samePeer = host.parentIndex !== undefined && link.parentIndex === host.parentIndex;
  return (link.name === host.name && (sameMac || sameIndex || samePeer)) || (sameIndex && sameMac);
}

/**
 * The key that lets a device have one holder only.
 * @param port what tells this interface from the main one of its device: a representor, a second port
 */
export function deviceKey(link: Link, port = ''): string {
  if (link.device !== undefined)
    return `${link.device.bus}:${link.device.name}${port === '' ? '' : `/${port}`}`;
  return link.permMac === undefined ? `link:${link.index}` : `mac:${link.permMac}`;
}
