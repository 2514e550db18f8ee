// A network interface as sysfs describes it: which port of its device it is, and whether it stands for another.
import { list, readNumber, readText } from './files.ts';

export interface Netdev {
  readonly name: string;
  /** "p0" of a port, "pf0vf3" of a representor (include/net/devlink.h); undefined where the driver names none. */
  readonly physPortName: string | undefined;
  /** Tells the ports of one function apart where a driver has several (mlx4). @default 0 */
  readonly devPort: number;
  /** How it came by its MAC: undefined where sysfs does not tell. */
  readonly macFrom: 'hardware' | 'random' | 'copied' | 'set' | undefined;
  /** Mbit/s; undefined while it has no carrier. */
  readonly speedMbps: number | undefined;
}

/** NET_ADDR_*, include/uapi/linux/netdevice.h. */
const MAC_FROM = ['hardware', 'random', 'copied', 'set'] as const;

/** Ethernet speeds as 32 bits of -1: unknown. */
const UNKNOWN_SPEED = 0xffffffff;

/** @param directory the net/ directory of a device @returns by alphabet */
export function readNetdevs(directory: string): Netdev[] {
  return list(directory).map((name) => readNetdev(directory, name));
}

/** @param directory one that has the interface as a directory */
export function readNetdev(directory: string, name: string): Netdev {
  const at = (attribute: string) => `${directory}/${name}/${attribute}`;
  const assigned = readNumber(at('addr_assign_type'));
  const speed = readNumber(at('speed'));
  return {
    name,
    physPortName: readText(at('phys_port_name')),
    devPort: readNumber(at('dev_port')) ?? 0,
    macFrom: assigned === undefined ? undefined : MAC_FROM[assigned],
    speedMbps: speed === UNKNOWN_SPEED || speed === 0 ? undefined : speed,
  };
}

/**
 * Whether an interface stands in the embedded switch for a function, and is not that function itself: "pf0vf3",
 * "c1pf0sf88", and "pf0hpf" of a SmartNIC; older drivers call it "3" or "vf3".
 */
export function isRepresentorName(physPortName: string | undefined): boolean {
  if (physPortName === undefined) return false;
  return /^((c\d+)?pf\d+((vf|sf)\d+|hpf)?|vf\d+|\d+)$/.test(physPortName);
}

/** The interface that is the function itself; of several ports the first. */
export function mainNetdev(netdevs: readonly Netdev[]): Netdev | undefined {
  const own = netdevs.filter((netdev) => !isRepresentorName(netdev.physPortName));
  return own.toSorted((a, b) => a.devPort - b.devPort)[0];
}

/** "": the function's main interface. Otherwise what tells this one from the others of its function. */
export function portOf({ physPortName, devPort }: Netdev): string {
  if (physPortName !== undefined && isRepresentorName(physPortName)) return physPortName;
  return devPort === 0 ? '' : `port${devPort}`;
}
