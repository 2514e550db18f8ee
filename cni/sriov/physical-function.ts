// The physical function of a virtual one, wherever its interface is: only there can the virtual one be set up.
import type { Kernel, Link, Namespace } from '../../pkg/kernel/kernel.ts';
import { lookElsewhere } from '../../pkg/kernel/look-elsewhere.ts';
import { isRepresentorName, mainNetdev } from '../../pkg/pci/netdev.ts';
import type { Sysfs } from '../../pkg/pci/sysfs.ts';

/** Closes the namespace that it is in. */
export interface PhysicalFunction extends Disposable {
  readonly address: string;
  readonly namespace: Namespace;
  readonly index: number;
  readonly name: string;
  /** Reads it anew, with all its virtual functions; undefined when it is gone. */
  link(): Link | undefined;
}

/**
 * On the host, as a rule. A physical function that was moved elsewhere shows no interface in the host's sysfs: it is
 * looked for in every namespace that this process can see (docs/notes/sriov.md).
 * @param address PCI address of the physical function
 */
export function openPhysicalFunction(
  kernel: Kernel,
  sysfs: Sysfs,
  address: string,
): PhysicalFunction | undefined {
  const host = kernel.host();
  const main = mainNetdev(sysfs.pci(address)?.netdevs ?? []);
  const named = main === undefined ? undefined : host.link({ name: main.name });
  const here = named ?? findFunction(host, address);
  if (here !== undefined) return opened(address, host, here);
  const elsewhere = lookElsewhere(kernel, (namespace) => findFunction(namespace, address));
  return elsewhere && opened(address, elsewhere.namespace, elsewhere.found);
}

function findFunction(namespace: Namespace, address: string): Link | undefined {
  return namespace
    .links()
    .find(
      ({ device, portName }) =>
        device?.bus === 'pci' && device.name === address && !isRepresentorName(portName),
    );
}

function opened(address: string, namespace: Namespace, { index, name }: Link): PhysicalFunction {
  return {
    address,
    namespace,
    index,
    name,
    link: () => namespace.link({ index }),
    [Symbol.dispose]: () => namespace.close(),
  };
}
