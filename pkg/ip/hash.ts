// One hash for what must come out the same on every node and in every version: MACs, walks through ranges, names.

const BITS = 64;

/** 64 bits: FNV-1a over the text's UTF-8, its bits then mixed (MurmurHash3's last step). Spreads well; not for secrets. */
export function hashOf(text: string): bigint {
  let state = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text))
    state = BigInt.asUintN(BITS, (state ^ BigInt(byte)) * 0x100000001b3n);
  for (const factor of [0xff51afd7ed558ccdn, 0xc4ceb9fe1a85ec53n])
    state = BigInt.asUintN(BITS, (state ^ (state >> 33n)) * factor);
  return state ^ (state >> 33n);
}
