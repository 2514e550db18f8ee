// Cases that go wrong in every way that the fixture has to tell apart.
import { equal } from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { kill, pid } from 'node:process';
import { vmCase, vmGroup } from '../case.ts';

export const FAULT_GROUPS = [
  vmGroup('faults', [
    vmCase('assertion', ({ log, ports: [port], kernel }) => {
      log('what the case has said');
      kernel.host().setLink(port.homeVf(0).index, { up: true });
      equal(1, 2);
    }),
    vmCase('never over', () => new Promise<void>(() => undefined), { limitMs: 200 }),
    vmCase('good', ({ ports: [port] }) => equal(port.homeVf(0).up, false)),
    vmCase('node killed', () => {
      kill(pid, 'SIGKILL');
    }),
    vmCase('panic', () => writeFileSync('/proc/sysrq-trigger', 'c')),
    vmCase(
      'never returns',
      () => {
        for (;;);
      },
      { limitMs: 100 },
    ),
    vmCase('thrown later', () => {
      setImmediate(() => {
        throw new Error('nobody waits for this');
      });
      return new Promise<void>(() => undefined);
    }),
  ]),
];
