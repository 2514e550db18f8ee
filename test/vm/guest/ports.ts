// Both ports as every case finds them, and as they are made again where one has left them otherwise.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Kernel, Link } from '../../../pkg/kernel/kernel.ts';
import type { Sysfs } from '../../../pkg/pci/sysfs.ts';
import { PORTS_READY } from '../machine/init.ts';
import { Port, VFS_PER_PORT } from './port.ts';
import { soon } from './wait.ts';

/** The physical function of QEMU's igb: Intel 82576. */
const DEVICE_ID = '10c9';

export type Ports = readonly [Port, Port];

export async function preparePorts(kernel: Kernel, sysfs: Sysfs): Promise<Ports> {
  // The init script has been at it since before Node was started.
  await soon('ports with virtual functions', () => existsSync(PORTS_READY), 60_000);
  const [first, second] = sysfs.pciAddresses().filter((address) => sysfs.pci(address)?.device === DEVICE_ID);
  if (first === undefined || second === undefined) throw new Error('The guest has not two igb ports');
  const ports = [new Port(kernel, sysfs, first), new Port(kernel, sysfs, second)] as const;
  await ports[0].vfInterfaces();
  await ports[1].vfInterfaces();
  await carriers(ports);
  return ports;
}

/** As new: physical functions up, all virtual functions made again, with their own driver. */
export async function renewPorts(kernel: Kernel, ports: Ports): Promise<void> {
  for (const port of ports) kernel.host().setLink(port.link().index, { up: true });
  await Promise.all(ports.map((port) => port.makeVfs()));
  await carriers(ports);
}

async function carriers(ports: Ports): Promise<void> {
  for (const port of ports) await soon(`carrier of ${port.address}`, () => port.link().running);
}

/** What a case has to leave as it found it, as text that tells two states apart. */
export function describePorts(kernel: Kernel, ports: Ports): string {
  const lines = ports.flatMap((port) => [
    `${port.address} ${describeLink(port.link())}`,
    ...port.link().vfs.map((vf) => `${port.address} ${JSON.stringify(vf)}`),
    ...Array.from({ length: VFS_PER_PORT }, (_, index) => {
      const link = port.vfLink(index);
      return `${port.vfAddress(index)} ${link === undefined ? 'away' : describeLink(link)}`;
    }),
  ]);
  const others = kernel
    .host()
    .links()
    .filter((link) => link.device?.bus !== 'pci')
    .map((link) => link.name);
  const namespaces = readdirSync('/run/netns');
  const rdma = readFileSync('/proc/modules', 'utf8').includes('ib_core')
    ? readdirSync('/sys/class/infiniband')
    : [];
  return [...lines, `links ${others}`, `namespaces ${namespaces}`, `rdma ${rdma}`].join('\n');
}

/** One virtual function, as its port and as its interface show it. */
export function describeVf(port: Port, index: number): string {
  const link = port.vfLink(index);
  const shown = JSON.stringify(port.link().vfs.find((vf) => vf.index === index));
  return `${port.vfAddress(index)} ${shown} ${link === undefined ? 'away' : describeLink(link)}`;
}

/** The lines that differ, the old ones with "-", the new ones with "+". */
export function difference(before: string, after: string): string[] {
  const [was, is] = [before.split('\n'), after.split('\n')];
  const gone = was.filter((line) => !is.includes(line)).map((line) => `- ${line}`);
  return [...gone, ...is.filter((line) => !was.includes(line)).map((line) => `+ ${line}`)];
}

function describeLink({
  name,
  mac,
  mtu,
  up,
  promisc,
  allmulti,
  txQueueLength,
  alias,
  altnames,
}: Link): string {
  return JSON.stringify({ name, mac, mtu, up, promisc, allmulti, txQueueLength, alias, altnames });
}

/** Gives a PCI function to a driver; its own again when `driver` is undefined. */
export function bindDriver(address: string, driver: string | undefined): void {
  const device = `/sys/bus/pci/devices/${address}`;
  writeFileSync(`${device}/driver_override`, driver ?? '\n');
  if (readdirSync(device).includes('driver')) writeFileSync(`${device}/driver/unbind`, address);
  writeFileSync('/sys/bus/pci/drivers_probe', address);
}
