// A case for the virtual machine: named on the host, run in the guest.
import type { Vm } from './guest/vm.ts';

export interface VmCase {
  /** A sentence. */
  readonly name: string;
  readonly run: (vm: Vm) => void | Promise<void>;
  readonly limitMs: number;
}

export interface VmGroup {
  readonly name: string;
  readonly cases: readonly VmCase[];
}

export interface VmCaseOptions {
  /** Of the guest's time, which is the host's. @default 60000 */
  readonly limitMs?: number;
}

/** Fails by an exception; `node:assert/strict` is at hand there, vitest is not. */
export function vmCase(name: string, run: VmCase['run'], { limitMs = 60_000 }: VmCaseOptions = {}): VmCase {
  return { name, run, limitMs };
}

export function vmGroup(name: string, cases: readonly VmCase[]): VmGroup {
  return { name, cases };
}

/** Tells cases apart, and is what vitest's -t looks at. */
export function caseId(group: VmGroup, { name }: VmCase): string {
  return `${group.name} ${name}`;
}
