// QEMU's command line: a q35 with an IOMMU, two igb ports with 7 virtual functions each on one wire, and a capture
// of that wire.
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVENTS_PORT, OUTPUT_PORT } from './init.ts';
import { type Machine, treeProgram } from './machine.ts';

/** Descriptors that QEMU inherits: one end each of a socket pair. */
export const CONSOLE_FD = 3;
export const EVENTS_FD = 4;
export const OUTPUT_FD = 5;

const PORT_MACS = ['52:54:00:aa:00:00', '52:54:00:aa:01:00'] as const;
/** Name in the run's directory of the capture of all frames on the wire. */
export const WIRE_PCAP = 'wire.pcap';
export const INITRD = 'initrd';

export interface Boot {
  readonly machine: Machine;
  /** The run's own directory on the host. */
  readonly directory: string;
  readonly repository: string;
  /** Directory of the Node binary for the guest. */
  readonly nodeDirectory: string;
  readonly memoryMb: number;
}

/** File and arguments. */
export function qemuCommand({ machine, directory, repository, nodeDirectory, memoryMb }: Boot): string[] {
  const kvm = hasKvm();
  const data = ['qemu', 'seabios'].flatMap((name) => ['-L', join(machine.tree, 'usr/share', name)]);
  return [
    ...treeProgram(machine.tree, 'usr/bin/qemu-system-x86_64'),
    ...data,
    // One processor: with two, emulated guests hang now and then while they boot.
    ...['-smp', '1', '-m', String(memoryMb), '-nodefaults', '-display', 'none', '-no-reboot'],
    ...(kvm ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max']),
    // Interrupt remapping wants the split interrupt controller of KVM.
    ...['-machine', `q35${kvm ? ',kernel-irqchip=split' : ''}`],
    ...['-device', 'intel-iommu,intremap=on,caching-mode=on'],
    ...socket('console', CONSOLE_FD),
    ...['-serial', 'chardev:console'],
    ...['-device', 'virtio-serial-pci'],
    ...port(EVENTS_PORT, EVENTS_FD),
    ...port(OUTPUT_PORT, OUTPUT_FD),
    ...share('tree', machine.tree, true),
    ...share('repo', repository, true),
    ...share('node', nodeDirectory, true),
    ...share('host', directory, false),
    ...['-device', 'virtio-rng-pci'],
    ...wire(directory),
    ...['-kernel', machine.vmlinux, '-initrd', join(directory, INITRD), '-append', kernelArguments()],
  ];
}

/** The device exists on hosts whose processor cannot do it: what counts is the processor. */
function hasKvm(): boolean {
  if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return false;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'EACCES'].includes(`${error.code}`))
      return false;
    throw error;
  }
}

function kernelArguments(): string {
  const quick = 'mitigations=off nokaslr no_timer_check tsc=reliable cryptomgr.notests random.trust_cpu=on';
  // A panic ends QEMU (with -no-reboot) instead of hanging.
  return `console=ttyS0 quiet loglevel=4 panic=-1 ${quick} intel_iommu=on iommu=pt`;
}

function socket(id: string, fd: number): string[] {
  return ['-chardev', `socket,id=${id},fd=${fd}`];
}

function port(name: string, fd: number): string[] {
  return [...socket(name, fd), '-device', `virtserialport,chardev=${name},name=${name}`];
}

function share(tag: string, path: string, readonly: boolean): string[] {
  const escaped = path.replaceAll(',', ',,');
  const options = `security_model=none,multidevs=remap${readonly ? ',readonly=on' : ''}`;
  return [
    ...['-fsdev', `local,id=${tag},path=${escaped},${options}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
}

function wire(directory: string): string[] {
  const ports = PORT_MACS.flatMap((mac, index) => [
    ...['-netdev', `hubport,id=net${index},hubid=0`],
    ...['-device', `pcie-root-port,id=root${index},chassis=${index + 1},slot=${index + 1}`],
    ...['-device', `igb,bus=root${index},netdev=net${index},mac=${mac},romfile=`],
  ]);
  return [
    ...ports,
    // All that passes the hub passes port 0's end of it.
    ...[
      '-object',
      `filter-dump,id=dump,netdev=net0,file=${join(directory, WIRE_PCAP).replaceAll(',', ',,')}`,
    ],
  ];
}
