// What Whereabouts takes in a range and passes over in silence: made fit for a parser that takes nothing wrong. Pure.
import { isJsonObject } from '../../pkg/cni/network-config.ts';
import type { JsonObject, JsonValue } from '../../pkg/cni/plugin.ts';
import { type Address, compareAddresses, formatAddress, readAddress } from '../../pkg/ip/address.ts';
import { cidrContains, formatCidr, readCidr } from '../../pkg/ip/cidr.ts';

/** Says what was changed, and why: for the log. */
export type Remark = (event: string, fields: Readonly<Record<string, unknown>>) => void;

/**
 * An object with `range`, `range_start` and `range_end`. What is no address, lies outside the range, or ends before it
 * begins, is left out, as Whereabouts does; leading zeros of a number are not octal.
 * @param at the object's path, for remarks: "ipam.ipRanges[0]"
 */
function lenientRange(entry: JsonObject, at: string, remark: Remark): JsonObject {
  const { range, range_start, range_end } = entry;
  if (typeof range !== 'string' || range === '') return entry;
  const fit: Record<string, JsonValue | undefined> = { ...entry, range: withoutZeros(range) };
  const leaveOut = (key: 'range_start' | 'range_end', reason: string): void => {
    if (entry[key] === undefined || entry[key] === '') return;
    delete fit[key];
    remark('key passed over, as Whereabouts does', { key: `${at}.${key}`, reason, value: entry[key] });
  };
  const subnet = readCidr(withoutZeros(range));
  if (subnet === undefined) {
    // "start-end/length" goes before the two keys.
    if (range.includes('-'))
      for (const key of ['range_start', 'range_end'] as const) leaveOut(key, 'the range says it');
    return fit;
  }
  const within = (key: 'range_start' | 'range_end', value: JsonValue | undefined): Address | undefined => {
    const address = typeof value === 'string' ? readAddress(withoutZeros(value)) : undefined;
    if (address !== undefined && cidrContains(subnet, address)) {
      fit[key] = formatAddress(address);
      return address;
    }
    leaveOut(key, address === undefined ? 'it is no address' : `it lies outside ${formatCidr(subnet)}`);
    return undefined;
  };
  const start = within('range_start', range_start);
  const end = within('range_end', range_end);
  if (start !== undefined && end !== undefined && compareAddresses(end, start) < 0)
    leaveOut('range_end', 'it lies before range_start');
  return fit;
}

/** "010.001.2.3" as Go's lenient parser reads it. */
const withoutZeros = (text: string): string =>
  text.includes(':') ? text : text.replaceAll(/(^|[.-])0+(?=\d)/g, '$1');

/** All ranges of an `ipam` object. */
export function lenientRanges(ipam: JsonObject, remark: Remark): JsonObject {
  const fit = lenientRange(ipam, 'ipam', remark);
  const { ipRanges, gateway } = fit;
  return {
    ...fit,
    ...(Array.isArray(ipRanges) && {
      ipRanges: ipRanges.map((one: JsonValue, i) =>
        isJsonObject(one) ? lenientRange(one, `ipam.ipRanges[${i}]`, remark) : one,
      ),
    }),
    ...(typeof gateway === 'string' && { gateway: withoutZeros(gateway) }),
  };
}
