// 48-bit MAC addresses: canonical text is lower case with colons.
import { ManifoldError } from '../errors/manifold-error.ts';
import { hashOf } from './hash.ts';

declare const macBrand: unique symbol;
/** Canonical text: "02:00:5e:00:53:01". */
export type Mac = string & { readonly [macBrand]: true };

/**
 * Reads 02:00:5e:00:53:01, 02-00-5E-00-53-01 and 0200.5e00.5301; undefined for all else, the 8-byte and 20-byte
 * hardware addresses of other media included.
 */
export function readMac(text: string): Mac | undefined {
  const spelt =
    /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ||
    /^[0-9a-f]{2}(-[0-9a-f]{2}){5}$/i.test(text) ||
    /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$/i.test(text);
  return spelt
    ? formatMac(Uint8Array.from(text.match(/[0-9a-f]{2}/gi) ?? [], (byte) => Number.parseInt(byte, 16)))
    : undefined;
}

/** @throws ManifoldError 'bad-config' */
export function parseMac(text: string): Mac {
  const mac = readMac(text);
  if (mac === undefined)
    throw new ManifoldError(
      'bad-config',
      `Cannot read MAC address: not six bytes in hexadecimal ("${text}")`,
      {
        hint: 'Write it as 02:00:5e:00:53:01.',
      },
    );
  return mac;
}

/** @param bytes six bytes */
export function formatMac(bytes: Uint8Array): Mac {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/** True for a group address, which no interface can have as its own. */
export const isMulticast = (mac: Mac): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;

/**
 * The same MAC for the same seed, on every node and in every version: locally administered, unicast, the other
 * 46 bits from a hash. Two seeds of one network share a MAC with a probability of about 2^-46.
 */
export function derivedMac(seed: string): Mac {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, hashOf(seed));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return formatMac(bytes.subarray(0, 6));
}
