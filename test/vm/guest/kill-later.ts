// SIGKILL for this process after a time, whatever it does then: by a timer of the kernel's, since JavaScript that works
// lets no timer of its own through, and another process might come too late.
import { dlopen } from 'node:ffi';

const CLOCK_MONOTONIC = 1;
const SIGKILL = 9;

export function killMyselfIn(ms: number): void {
  const { functions: libc } = dlopen('libc.so.6', {
    timer_create: { arguments: ['int32', 'buffer', 'buffer'], return: 'int32' },
    timer_settime: { arguments: ['pointer', 'int32', 'buffer', 'pointer'], return: 'int32' },
  });
  // struct sigevent: value, signal, SIGEV_SIGNAL (0).
  const event = Buffer.alloc(64);
  event.writeInt32LE(SIGKILL, 8);
  const timer = Buffer.alloc(8);
  // struct itimerspec: no interval; seconds and nanoseconds, of which 0 would be "never".
  const spec = Buffer.alloc(32);
  spec.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 16);
  spec.writeBigInt64LE(BigInt((ms % 1000) * 1_000_000 + 1), 24);
  if (
    libc.timer_create(CLOCK_MONOTONIC, event, timer) !== 0 ||
    libc.timer_settime(timer.readBigUInt64LE(), 0, spec, 0n) !== 0
  )
    throw new Error('Cannot set a timer that kills');
}
