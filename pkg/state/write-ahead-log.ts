// Folds a write-ahead log into the file it belongs to, in memory, as SQLite's own recovery would:
// https://sqlite.org/fileformat2.html section 4. For reading where SQLite may not write.

const HEADER = 32;
const FRAME_HEADER = 24;

/**
 * @param file the database, maybe not of a length that whole pages have
 * @returns the database with every transaction in it that the log has whole
 */
export function foldLog(file: Uint8Array, log: Uint8Array): Uint8Array {
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  if (log.length < HEADER || view.getUint32(0) >>> 1 !== 0x377f0682 >>> 1) return file;
  // The lowest bit of the magic number says in which byte order the sums are made.
  const sum = checksum(view, (view.getUint32(0) & 1) === 0);
  const pageSize = view.getUint32(8);
  if (!sum.holds(0, 24)) return file;
  let pending: { readonly page: number; readonly at: number }[] = [];
  let folded = file;
  for (let at = HEADER; at + FRAME_HEADER + pageSize <= log.length; at += FRAME_HEADER + pageSize) {
    // Frames with another salt are of an earlier round of the log.
    const salted =
      view.getUint32(at + 8) === view.getUint32(16) && view.getUint32(at + 12) === view.getUint32(20);
    sum.add(at, 8);
    sum.add(at + FRAME_HEADER, pageSize);
    if (!salted || !sum.equals(at + 16)) break;
    pending.push({ page: view.getUint32(at), at: at + FRAME_HEADER });
    const pages = view.getUint32(at + 4);
    if (pages === 0) continue; // the transaction goes on
    folded = resized(folded, pages * pageSize);
    for (const { page, at: from } of pending)
      if (page <= pages) folded.set(log.subarray(from, from + pageSize), (page - 1) * pageSize);
    pending = [];
  }
  return folded;
}

/** A copy of its own where the length is another. */
function resized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const other = new Uint8Array(length);
  other.set(bytes.subarray(0, length));
  return other;
}

/** The running sum over header and frames, by pairs of words. */
function checksum(view: DataView, littleEndian: boolean) {
  let [a, b] = [0, 0];
  const add = (at: number, length: number): void => {
    for (let i = at; i < at + length; i += 8) {
      a = (a + view.getUint32(i, littleEndian) + b) | 0;
      b = (b + view.getUint32(i + 4, littleEndian) + a) | 0;
    }
  };
  const equals = (at: number): boolean =>
    a >>> 0 === view.getUint32(at) && b >>> 0 === view.getUint32(at + 4);
  return {
    add,
    equals,
    holds(at: number, length: number): boolean {
      add(at, length);
      return equals(at + length);
    },
  };
}
