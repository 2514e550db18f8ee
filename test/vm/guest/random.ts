// Random choices that a seed repeats.

export interface Random {
  /** A whole number from 0 to `end` - 1. */
  below(end: number): number;
  /** One time in `n`. */
  oneIn(n: number): boolean;
  /** Removes one of them. */
  take<T>(from: T[]): T | undefined;
}

export function createRandom(seed: number): Random {
  // splitmix32: each call is a step of the golden ratio, mixed.
  let state = seed | 0;
  const below = (end: number): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * end);
  };
  return {
    below,
    oneIn: (n) => below(n) === 0,
    take: (from) => from.splice(below(from.length), 1)[0],
  };
}
