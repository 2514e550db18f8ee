// What every way of the virtual machine's table does the same to, and the names of the ways.
import type { JsonObject } from '../../../pkg/cni/plugin.ts';
import type { TestNetns } from '../../kit/netns.ts';

export const VM_ROWS = ['node', 'floor', 'ip', 'warm', 'executable'] as const;
export type Row = (typeof VM_ROWS)[number];

/** A virtual function, what it is at home, and what a pod makes of it. */
export interface Subject {
  /** For the plugin. */
  readonly keys: JsonObject;
  readonly pod: TestNetns;
  /** Name of the physical function's interface. */
  readonly port: string;
  readonly index: number;
  readonly home: { readonly name: string; readonly mac: string; readonly mtu: number };
  readonly mine: {
    readonly vlan: number;
    readonly qos: number;
    readonly mac: string;
    readonly mtu: number;
    /** With prefix length. */
    readonly address: string;
  };
}
