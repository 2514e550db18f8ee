// Leaves out of an executable what is never mapped: symbols and debugging information, a fifth of Node's file.
import {
  encodeProgramHeaders,
  type ProgramHeader,
  PT,
  readEntry,
  readHeadersOffset,
  readProgramHeaders,
  writeHeader,
} from './elf.ts';

/** @returns the same program with its segments moved together, at offsets that still suit pages of this size */
export function stripUnmapped(file: Buffer, page: number): Buffer {
  const headers = readProgramHeaders(file);
  const loads = headers.filter((h) => h.type === PT.load).sort((a, b) => a.offset - b.offset);
  const moved = new Map<ProgramHeader, number>();
  let end = 0;
  for (const load of loads) {
    // An offset and its address must be alike below the page size.
    const offset = end + ((((load.vaddr - end) % page) + page) % page);
    moved.set(load, offset);
    end = offset + load.filesz;
  }
  const move = (offset: number): number => {
    const home = loads.find((h) => offset >= h.offset && offset < h.offset + h.filesz);
    return home === undefined ? offset : offset - home.offset + (moved.get(home) ?? 0);
  };
  const stripped = Buffer.alloc(end);
  for (const load of loads) file.copy(stripped, moved.get(load), load.offset, load.offset + load.filesz);
  const table = encodeProgramHeaders(
    headers.map((h) => ({ ...h, offset: h.filesz === 0 ? h.offset : move(h.offset) })),
  );
  const phoff = move(readHeadersOffset(file));
  table.copy(stripped, phoff);
  writeHeader(stripped, { entry: readEntry(file), phoff, phnum: headers.length });
  return stripped;
}
