// What a physical function is to set on a virtual one: from the configuration to single settings, each of which the
// driver takes or refuses by itself. Pure.
import type { VirtualFunction } from '../../pkg/kernel/kernel.ts';
import type { SriovConfig } from './config.ts';
import { CLEARED_GUID, isGuidBack, NO_GUID } from './guid.ts';

/** What a physical function keeps of a virtual one. */
export type VfState = Omit<VirtualFunction, 'index'>;

/** What the kernel takes in one message; a group that must be set together. */
export type VfChange =
  | Pick<VfState, 'vlan' | 'qos' | 'vlanProto'>
  | { readonly mac: string }
  | Pick<VfState, 'minTxRate' | 'maxTxRate'>
  | { readonly spoofchk: boolean }
  | { readonly trust: boolean }
  | { readonly linkState: NonNullable<VfState['linkState']> }
  | { readonly nodeGuid: string; readonly portGuid: string };

/** The settings that a configuration asks for, in the order in which drivers are used to get them. */
export function wantedSettings(config: SriovConfig, mac: string | undefined, now: VfState): VfChange[] {
  const { vlan, vlanQoS, vlanProto, spoofchk, trust, link_state, min_tx_rate, max_tx_rate } = config;
  return [
    ...(vlan === undefined ? [] : [{ vlan, qos: vlanQoS ?? 0, vlanProto: vlanProto ?? '802.1q' }]),
    ...(mac === undefined ? [] : [{ mac }]),
    ...(min_tx_rate === undefined && max_tx_rate === undefined
      ? []
      : [{ minTxRate: min_tx_rate ?? now.minTxRate, maxTxRate: max_tx_rate ?? now.maxTxRate }]),
    ...(spoofchk === undefined ? [] : [{ spoofchk: spoofchk === 'on' }]),
    ...(trust === undefined ? [] : [{ trust: trust === 'on' }]),
    ...(link_state === undefined ? [] : [{ linkState: link_state }]),
  ];
}

/** As wantedSettings, for InfiniBand: one GUID is node's and port's. */
export function wantedInfiniband({ link_state }: SriovConfig, guid: string | undefined): VfChange[] {
  return [
    ...(link_state === undefined ? [] : [{ linkState: link_state }]),
    ...(guid === undefined ? [] : [{ nodeGuid: guid, portGuid: guid }]),
  ];
}

/**
 * The settings that make a virtual function what it was: those only that differ from what it is, and not its MAC,
 * which its interface has a say in.
 */
export function settingsBack(was: VfState, now: VfState): VfChange[] {
  const { vlan, qos, vlanProto, minTxRate, maxTxRate, spoofchk, trust, linkState, nodeGuid, portGuid } = was;
  const all: VfChange[] = [
    { vlan, qos, vlanProto },
    { minTxRate, maxTxRate },
    ...(spoofchk === undefined ? [] : [{ spoofchk }]),
    ...(trust === undefined ? [] : [{ trust }]),
    ...(linkState === undefined ? [] : [{ linkState }]),
  ];
  const differing = all.filter((change) => !isSet(change, now));
  if (nodeGuid === undefined || portGuid === undefined) return differing;
  if (isGuidBack(nodeGuid, now.nodeGuid) && isGuidBack(portGuid, now.portGuid)) return differing;
  const settable = (guid: string) => (guid === NO_GUID ? CLEARED_GUID : guid);
  return [...differing, { nodeGuid: settable(nodeGuid), portGuid: settable(portGuid) }];
}

/** What a driver does not tell counts as not set. */
export const isSet = (change: VfChange, now: VfState): boolean => {
  const known: Readonly<Record<string, unknown>> = { ...now };
  return Object.entries(change).every(([key, value]) => known[key] === value);
};

/** In words: "vlan is 0, not 100". What a driver does not tell cannot differ. */
export function differences(change: VfChange, now: VfState): string[] {
  const known: Readonly<Record<string, unknown>> = { ...now };
  return Object.entries(change)
    .filter(([key, value]) => known[key] !== undefined && known[key] !== value)
    .map(([key, value]) => `${WORDS[key] ?? key} is ${word(known[key])}, not ${word(value)}`);
}

const WORDS: Readonly<Record<string, string>> = {
  vlanProto: 'VLAN protocol',
  minTxRate: 'min_tx_rate',
  maxTxRate: 'max_tx_rate',
  linkState: 'link_state',
  nodeGuid: 'the node GUID',
  portGuid: 'the port GUID',
  mac: 'the administrative MAC',
};

function word(value: unknown): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}
