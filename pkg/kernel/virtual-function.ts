// Virtual functions of a physical function: IFLA_VFINFO_LIST read, IFLA_VF_* written, byte for byte as
// include/uapi/linux/if_link.h lays the structs out.
import { attribute, nested, readAttributes, readList } from './attributes.ts';
import { formatMac, parseMac } from './inet.ts';
import type { VirtualFunction } from './kernel.ts';

const IFLA_VFINFO_LIST = 22;
const IFLA_VF_INFO = 1;
const IFLA_VF_MAC = 1;
const IFLA_VF_VLAN = 2;
const IFLA_VF_SPOOFCHK = 4;
const IFLA_VF_LINK_STATE = 5;
const IFLA_VF_RATE = 6;
const IFLA_VF_TRUST = 9;
const IFLA_VF_IB_NODE_GUID = 10;
const IFLA_VF_IB_PORT_GUID = 11;
const IFLA_VF_VLAN_LIST = 12;
const IFLA_VF_VLAN_INFO = 1;
const MAX_ADDR_LEN = 32;

const LINK_STATES = ['auto', 'enable', 'disable'] as const;
const VLAN_PROTOCOLS = { '802.1q': 0x8100, '802.1ad': 0x88a8 } as const;
/** "The driver does not tell": what the kernel puts in place of spoofchk and trust. */
const UNKNOWN = 0xffffffff;

/** @param list the value of IFLA_VFINFO_LIST @param macLength bytes of a MAC of this kind of link */
export function readVirtualFunctions(list: Buffer, macLength: number): VirtualFunction[] {
  return readList(list, IFLA_VF_INFO).flatMap((info) => {
    const found = readAttributes(info);
    const mac = found.get(IFLA_VF_MAC);
    if (mac === undefined) return [];
    const vlan = found.get(IFLA_VF_VLAN);
    const vlanList = found.get(IFLA_VF_VLAN_LIST);
    const vlanInfo = vlanList === undefined ? undefined : readAttributes(vlanList).get(IFLA_VF_VLAN_INFO);
    const rate = found.get(IFLA_VF_RATE);
    const state = found.get(IFLA_VF_LINK_STATE)?.readUInt32LE(4);
    return [
      {
        index: mac.readUInt32LE(0),
        mac: formatMac(mac.subarray(4, 4 + macLength)),
        vlan: vlan?.readUInt32LE(4) ?? 0,
        qos: vlan?.readUInt32LE(8) ?? 0,
        vlanProto: vlanInfo?.readUInt16BE(12) === VLAN_PROTOCOLS['802.1ad'] ? '802.1ad' : '802.1q',
        spoofchk: setting(found.get(IFLA_VF_SPOOFCHK)),
        trust: setting(found.get(IFLA_VF_TRUST)),
        linkState: state === undefined ? undefined : LINK_STATES[state],
        minTxRate: rate?.readUInt32LE(4) ?? 0,
        maxTxRate: rate?.readUInt32LE(8) ?? 0,
        nodeGuid: guidOf(found.get(IFLA_VF_IB_NODE_GUID)),
        portGuid: guidOf(found.get(IFLA_VF_IB_PORT_GUID)),
      },
    ];
  });
}

/** What a change sets in one message of its own, so that a refusal names it. */
export interface VfSetting {
  /** "vlan 100 qos 3 802.1q". */
  readonly what: string;
  /** The attribute to put into RTM_SETLINK. */
  readonly attribute: Uint8Array;
}

/**
 * The settings, in the order in which drivers are used to get them. vlan, qos and vlanProto are one setting, as
 * are both rates: what is left out of such a group is set to its default.
 */
export function vfSettings(change: Partial<VirtualFunction> & { readonly index: number }): VfSetting[] {
  const { index, mac, vlan, qos, vlanProto, minTxRate, maxTxRate, spoofchk, trust, linkState } = change;
  const settings: VfSetting[] = [];
  const add = (what: string, ...attributes: Uint8Array[]) => {
    settings.push({ what, attribute: nested(IFLA_VFINFO_LIST, [nested(IFLA_VF_INFO, attributes)]) });
  };
  if (vlan !== undefined || qos !== undefined || vlanProto !== undefined) {
    const proto = vlanProto ?? '802.1q';
    const info = attribute(
      IFLA_VF_VLAN_INFO,
      vlanInfoBytes(index, vlan ?? 0, qos ?? 0, VLAN_PROTOCOLS[proto]),
    );
    // The old attribute cannot say 802.1ad; drivers get the same call from both.
    add(`vlan ${vlan ?? 0} qos ${qos ?? 0} ${proto}`, nested(IFLA_VF_VLAN_LIST, [info]));
  }
  if (mac !== undefined) add(`mac ${mac}`, attribute(IFLA_VF_MAC, macBytes(index, parseMac(mac))));
  if (minTxRate !== undefined || maxTxRate !== undefined) {
    const rate = words(index, minTxRate ?? 0, maxTxRate ?? 0);
    add(`tx rate ${minTxRate ?? 0} to ${maxTxRate ?? 0} Mbit/s`, attribute(IFLA_VF_RATE, rate));
  }
  if (spoofchk !== undefined) {
    add(`spoofchk ${onOff(spoofchk)}`, attribute(IFLA_VF_SPOOFCHK, words(index, Number(spoofchk))));
  }
  if (trust !== undefined)
    add(`trust ${onOff(trust)}`, attribute(IFLA_VF_TRUST, words(index, Number(trust))));
  if (linkState !== undefined) {
    const state = words(index, LINK_STATES.indexOf(linkState));
    add(`link state ${linkState}`, attribute(IFLA_VF_LINK_STATE, state));
  }
  for (const [name, type, guid] of [
    ['node', IFLA_VF_IB_NODE_GUID, change.nodeGuid],
    ['port', IFLA_VF_IB_PORT_GUID, change.portGuid],
  ] as const)
    if (guid !== undefined) add(`${name} GUID ${guid}`, attribute(type, guidBytes(index, parseMac(guid))));
  return settings;
}

/** struct ifla_vf_guid: the number is the host's, so that the first byte of the text is its highest. */
function guidBytes(index: number, guid: Buffer): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(index, 0);
  bytes.writeBigUInt64LE(guid.readBigUInt64BE(0), 8);
  return bytes;
}

function guidOf(bytes: Buffer | undefined): string | undefined {
  return bytes && formatMac(Buffer.from(bytes.subarray(8, 16)).reverse());
}

function setting(bytes: Buffer | undefined): boolean | undefined {
  const value = bytes?.readUInt32LE(4);
  return value === undefined || value === UNKNOWN ? undefined : value !== 0;
}

function onOff(value: boolean): string {
  return value ? 'on' : 'off';
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4);
  });
  return bytes;
}

/** struct ifla_vf_mac. */
function macBytes(index: number, mac: Buffer): Buffer {
  return Buffer.concat([words(index), mac], 4 + MAX_ADDR_LEN);
}

/** struct ifla_vf_vlan_info: 14 bytes of members, 16 with its padding, big-endian protocol. */
function vlanInfoBytes(index: number, vlan: number, qos: number, proto: number): Buffer {
  const bytes = Buffer.alloc(16);
  words(index, vlan, qos).copy(bytes);
  bytes.writeUInt16BE(proto, 12);
  return bytes;
}
