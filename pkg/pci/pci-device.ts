// One PCI function as sysfs describes it.
import { exists, list, readLinkName, readNumber, readText } from './files.ts';
import { type Netdev, readNetdevs } from './netdev.ts';

export interface PciDevice {
  /** "0000:3b:00.2" */
  readonly address: string;
  /** Four hexadecimal digits: "8086". */
  readonly vendor: string;
  readonly device: string;
  /** Six hexadecimal digits: "020000" is an Ethernet controller. */
  readonly class: string;
  /** "mlx5_core", "vfio-pci"; undefined when none is bound. */
  readonly driver: string | undefined;
  /** Undefined where the machine has no such nodes. */
  readonly numaNode: number | undefined;
  /** "11"; of a VFIO group without IOMMU its number too, with `noiommu`. */
  readonly iommuGroup: { readonly number: string; readonly noiommu: boolean } | undefined;
  /** Those in the namespace that this sysfs was mounted in: not those that pods have. */
  readonly netdevs: readonly Netdev[];
  /** "mlx5_2" */
  readonly rdmaDevices: readonly string[];
  /** Address of the physical function: set on a virtual one whose PF this machine sees. */
  readonly physicalFunction: string | undefined;
  /** Of a function that can have virtual ones. */
  readonly sriov: { readonly totalVfs: number; readonly numVfs: number } | undefined;
}

/** A virtual function as its physical one numbers it. */
export interface VfSlot {
  readonly index: number;
  readonly address: string;
}

/** Drivers that hand a PCI device to user space (DPDK): it has no network interface then. */
const USER_SPACE_DRIVERS: ReadonlySet<string> = new Set(['vfio-pci', 'uio_pci_generic', 'igb_uio']);

export const isUserSpaceDriver = (driver: string): boolean => USER_SPACE_DRIVERS.has(driver);

const PCI_ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** With its domain, in lower case: as sysfs writes it. */
export const isPciAddress = (text: string): boolean => PCI_ADDRESS.test(text);

/** @param directory of the device, which is there */
export function readPciDevice(directory: string, address: string): PciDevice {
  const at = (attribute: string) => `${directory}/${attribute}`;
  const hex = (attribute: string) => readText(at(attribute))?.replace(/^0x/, '') ?? '';
  const group = readLinkName(at('iommu_group'));
  const groupName = readText(at('iommu_group/name'));
  const totalVfs = readNumber(at('sriov_totalvfs'));
  return {
    address,
    vendor: hex('vendor'),
    device: hex('device'),
    class: hex('class'),
    driver: readLinkName(at('driver')),
    numaNode: readNumber(at('numa_node')),
    iommuGroup: group === undefined ? undefined : { number: group, noiommu: groupName === 'vfio-noiommu' },
    netdevs: readNetdevsOfFunction(directory),
    rdmaDevices: list(at('infiniband')),
    physicalFunction: readLinkName(at('physfn')),
    sriov: totalVfs === undefined ? undefined : { totalVfs, numVfs: readNumber(at('sriov_numvfs')) ?? 0 },
  };
}

/** A virtio NIC has its interface one level down, below the virtio function. */
function readNetdevsOfFunction(directory: string): Netdev[] {
  if (exists(`${directory}/net`)) return readNetdevs(`${directory}/net`);
  const virtio = list(directory).filter((name) => name.startsWith('virtio'));
  return virtio.flatMap((name) => readNetdevs(`${directory}/${name}/net`));
}

/** @param directory of a physical function @returns in order of their numbers */
export function readVfSlots(directory: string): VfSlot[] {
  const slots = list(directory).flatMap((name) => {
    const index = /^virtfn(\d+)$/.exec(name)?.[1];
    const address = index === undefined ? undefined : readLinkName(`${directory}/${name}`);
    return index === undefined || address === undefined ? [] : [{ index: Number(index), address }];
  });
  return slots.sort((a, b) => a.index - b.index);
}
