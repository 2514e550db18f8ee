// The parts of a real sysfs that pkg/pci reads, as text: "path = value" and "path -> target", relative to /sys.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ifThere } from '../../pkg/pci/files.ts';

const FUNCTION_FILES =
  /^(vendor|device|class|numa_node|sriov_(totalvfs|numvfs)|driver_override|driver|physfn|virtfn\d+|iommu_group)$/;
/** Not its MAC: igbvf draws that at random. */
const NETDEV_FILES = ['addr_assign_type', 'dev_port', 'phys_port_name', 'speed'];

/** @param addresses of PCI functions */
export function captureSysfs(addresses: readonly string[]): string {
  const lines = addresses.flatMap((address) => {
    const byBus = `/sys/bus/pci/devices/${address}`;
    const directory = realpathSync(byBus);
    const attributes = readdirSync(directory).filter((name) => FUNCTION_FILES.test(name));
    const netdevs = existsSync(`${directory}/net`) ? readdirSync(`${directory}/net`) : [];
    return [
      byBus,
      ...attributes.map((name) => `${directory}/${name}`),
      ...netdevs.flatMap((name) => [
        `/sys/class/net/${name}`,
        `${directory}/net/${name}/device`,
        ...NETDEV_FILES.map((file) => `${directory}/net/${name}/${file}`),
      ]),
    ].flatMap(captureFile);
  });
  return `${lines.join('\n')}\n`;
}

/** A file that the driver refuses to read is left out: pkg/pci takes both for nothing. */
function captureFile(path: string): string[] {
  const name = path.replace('/sys/', '');
  if (lstatSync(path).isSymbolicLink()) return [`${name} -> ${readlinkSync(path)}`];
  const text = ifThere(() => readFileSync(path, 'utf8'));
  return text === undefined ? [] : [`${name} = ${text.trim()}`];
}

/** Lays out what was captured in a temporary directory. */
export function layOutSysfs(text: string): Disposable & { readonly root: string } {
  const root = mkdtempSync(join(tmpdir(), 'manifold-captured-'));
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [, name = '', kind, value = ''] = /^(\S+) (=|->) ?(.*)$/.exec(line) ?? [];
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (kind === '->') symlinkSync(value, path);
    else writeFileSync(path, `${value}\n`);
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}
