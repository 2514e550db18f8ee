// What a virtual function was before the first change, as it stands in its record beside its interface's own.
import * as v from 'valibot';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import type { VfChange, VfState } from './settings.ts';

const stateSchema = v.object({
  mac: v.string(),
  vlan: v.number(),
  qos: v.number(),
  vlanProto: v.picklist(['802.1q', '802.1ad']),
  spoofchk: v.optional(v.boolean()),
  trust: v.optional(v.boolean()),
  linkState: v.optional(v.picklist(['auto', 'enable', 'disable'])),
  minTxRate: v.number(),
  maxTxRate: v.number(),
  nodeGuid: v.optional(v.string()),
  portGuid: v.optional(v.string()),
});

const savedSchema = v.object({
  /** PCI address of the virtual function. */
  pci: v.string(),
  /** That it was bound to, and with which driver_override. */
  driver: v.string(),
  driverOverride: v.optional(v.string()),
  /** True when an administrative MAC stood that its interface could not change: known when ADD has set another. */
  macFixed: v.boolean(),
  /** Of its RDMA device, where it has one: its driver, bound again, makes another. */
  rdmaName: v.optional(v.string()),
  /** Absent where no physical function is seen. */
  vf: v.optional(
    v.object({
      /** PCI address of the physical function. */
      pf: v.string(),
      index: v.number(),
      was: stateSchema,
      /** What ADD sets, one message each. */
      set: v.array(v.partial(stateSchema)),
    }),
  ),
});

type Output = v.InferOutput<typeof savedSchema>;

/** A virtual function and the physical one that numbers it. */
export type SavedSettings = {
  readonly pf: string;
  readonly index: number;
  readonly was: VfState;
  readonly set: readonly VfChange[];
};

export type SavedVf = Omit<Output, 'vf'> & { readonly vf: SavedSettings | undefined };

/** Undefined for a record of another shape. */
export function readSavedVf(saved: JsonObject): SavedVf | undefined {
  const parsed = v.safeParse(savedSchema, saved);
  if (!parsed.success) return undefined;
  const { vf, ...rest } = parsed.output;
  if (vf === undefined) return { ...rest, vf };
  const { spoofchk, trust, linkState, nodeGuid, portGuid, ...was } = vf.was;
  return {
    ...rest,
    // The groups are as settings.ts made them: the store keeps what it is given.
    vf: { ...vf, was: { ...was, spoofchk, trust, linkState, nodeGuid, portGuid }, set: vf.set as VfChange[] },
  };
}
