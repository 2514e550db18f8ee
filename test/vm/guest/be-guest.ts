// The whole of a run inside: prepares the ports, runs the cases that the host wants, says what came out.
import { openSync, readFileSync, writeSync } from 'node:fs';
import { exit } from 'node:process';
import { createKernel } from '../../../pkg/kernel/linux-kernel.ts';
import { createSysfs } from '../../../pkg/pci/sysfs.ts';
import type { VmGroup } from '../case.ts';
import { EVENTS_PORT, PORTS, SHARES } from '../machine/init.ts';
import { WIRE_PCAP } from '../machine/qemu-command.ts';
import { type GuestEvent, SELECTION_FILE, type Selection } from '../protocol.ts';
import { KernelMessages } from './kernel-messages.ts';
import { preparePorts } from './ports.ts';
import { failureOf, runCases } from './run-cases.ts';
import { Wire } from './wire.ts';

/** Ends the process. */
export function beGuest(groups: readonly VmGroup[]): void {
  const port = openSync(`${PORTS}/${EVENTS_PORT}`, 'w');
  const say = (event: GuestEvent): void => {
    writeSync(port, `${JSON.stringify(event)}\n`);
  };
  const messages = new KernelMessages();
  const giveUp = (error: unknown): never => {
    say({ event: 'failed', failure: failureOf(error), kernel: messages.take() });
    exit(1);
  };
  process.on('uncaughtException', giveUp);
  prepareAndRun(groups, say, messages).then(() => exit(0), giveUp);
}

async function prepareAndRun(
  groups: readonly VmGroup[],
  say: (event: GuestEvent) => void,
  messages: KernelMessages,
): Promise<void> {
  const { ids, settings } = JSON.parse(readFileSync(`${SHARES.host}/${SELECTION_FILE}`, 'utf8')) as Selection;
  const kernel = createKernel();
  const sysfs = createSysfs();
  const ports = await preparePorts(kernel, sysfs);
  const wire = new Wire(`${SHARES.host}/${WIRE_PCAP}`);
  messages.take();
  say({ event: 'ready' });
  await runCases(groups, new Set(ids), { world: { kernel, sysfs, ports, wire, settings }, messages, say });
  say({ event: 'done' });
}
