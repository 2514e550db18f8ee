// SHA-256 (FIPS 180-4) of short texts. Not for secrets: here because loading node:crypto costs 5 ms of CPU at each
// start, a fifth of an ADD, for six bytes of a MAC address.

/** The 32 bytes of the digest of the text's UTF-8. */
export function sha256(text: string): Uint8Array {
  const message = new TextEncoder().encode(text);
  const padded = new Uint8Array(((message.length + 8) >> 6) * 64 + 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n);

  const constants = roundConstants();
  const state = initialState();
  for (let block = 0; block < padded.length; block += 64) compress(state, view, block, constants);

  const digest = new Uint8Array(32);
  const out = new DataView(digest.buffer);
  for (const [i, word] of state.entries()) out.setUint32(i * 4, word);
  return digest;
}

function compress(state: Uint32Array, view: DataView, block: number, constants: Uint32Array): void {
  const w = new Uint32Array(64);
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(block + i * 4);
  for (let i = 16; i < 64; i++) {
    const w15 = at(w, i - 15);
    const w2 = at(w, i - 2);
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3);
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10);
    w[i] = at(w, i - 16) + s0 + at(w, i - 7) + s1;
  }
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let i = 0; i < 64; i++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + at(constants, i) + at(w, i)) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] = at(state, i) + word;
}

const at = (words: Uint32Array, i: number): number => words[i] ?? 0;
const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

/** First 32 bits of the fractions of the square roots of the first 8 primes. */
const initialState = (): Uint32Array => Uint32Array.from(primes(8), (p) => fraction(Math.sqrt(p)));
/** The same of the cube roots of the first 64 primes: a double has some 18 bits to spare. */
const roundConstants = (): Uint32Array => Uint32Array.from(primes(64), (p) => fraction(Math.cbrt(p)));

const fraction = (root: number): number => Math.floor((root % 1) * 2 ** 32);

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((p) => n % p !== 0)) found.push(n);
  return found;
}
