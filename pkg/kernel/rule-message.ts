// Routing rules as rtnetlink messages: fib_rule_hdr and FRA_* attributes. Pure.
import { attribute, readAttributes, string, textOf, u32, u32Of } from './attributes.ts';
import { AF_INET, AF_INET6, formatAddress, type InetPrefix, networkOf, parsePrefix } from './inet.ts';
import type { Cidr, Rule } from './kernel.ts';

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FRA_OIFNAME = 17;
const FR_ACT_TO_TBL = 1;
const HEADER_BYTES = 12;

export function listRulesBody(family: 4 | 6): Uint8Array[] {
  return [header(family, 0, 0, 0)];
}

/** Undefined for another family, which a kernel without IPv6 gives when asked for it. */
export function parseRule(payload: Buffer, family: 4 | 6): Rule | undefined {
  if (payload.readUInt8(0) !== numberOf(family)) return undefined;
  const found = readAttributes(payload.subarray(HEADER_BYTES));
  const prefix = (type: number, length: number): Cidr | undefined => {
    const address = found.get(type);
    return address === undefined ? undefined : `${formatAddress(address)}/${length}`;
  };
  return {
    family,
    // The rule that looks up the local table has priority 0, which the kernel leaves out.
    priority: u32Of(found, FRA_PRIORITY) ?? 0,
    from: prefix(FRA_SRC, payload.readUInt8(2)),
    to: prefix(FRA_DST, payload.readUInt8(1)),
    table: u32Of(found, FRA_TABLE) ?? payload.readUInt8(4),
    iif: textOf(found, FRA_IIFNAME),
    oif: textOf(found, FRA_OIFNAME),
  };
}

/** Body of RTM_NEWRULE and RTM_DELRULE. */
export function ruleBody({ family, priority, from, to, table, iif, oif }: Rule): Uint8Array[] {
  const source = networkOrNothing(from);
  const destination = networkOrNothing(to);
  return [
    header(family, destination?.length ?? 0, source?.length ?? 0, FR_ACT_TO_TBL),
    ...(destination === undefined ? [] : [attribute(FRA_DST, destination.bytes)]),
    ...(source === undefined ? [] : [attribute(FRA_SRC, source.bytes)]),
    ...(priority === undefined ? [] : [u32(FRA_PRIORITY, priority)]),
    u32(FRA_TABLE, table),
    ...(iif === undefined ? [] : [string(FRA_IIFNAME, iif)]),
    ...(oif === undefined ? [] : [string(FRA_OIFNAME, oif)]),
  ];
}

function networkOrNothing(cidr: Cidr | undefined): InetPrefix | undefined {
  const network = cidr === undefined ? undefined : networkOf(parsePrefix(cidr));
  // "from 0.0.0.0/0" is no condition, and the kernel refuses an address of length 0.
  return network?.length === 0 ? undefined : network;
}

function numberOf(family: 4 | 6): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** struct fib_rule_hdr. */
function header(family: 4 | 6, dstLength: number, srcLength: number, action: number): Buffer {
  return Buffer.from([numberOf(family), dstLength, srcLength, 0, 0, 0, 0, action, 0, 0, 0, 0]);
}
