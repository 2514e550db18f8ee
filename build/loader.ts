// Makes an executable independent of the host's C and C++ libraries: it carries them, and the loader, in itself.
// docs/decisions/own-loader.md says why; start/*.s is what runs first.
import {
  encodeProgramHeaders,
  PF,
  type ProgramHeader,
  PT,
  readEntry,
  readHeadersOffset,
  readNeededNames,
  readProgramHeaders,
  readSoname,
  writeHeader,
} from './elf.ts';

/** A name that the start code completes: room for a descriptor of three digits; slashes too many do no harm. */
const NAME = '/proc/self/fd////\0';

export interface Parts {
  /** A linked, dynamic executable. */
  readonly executable: Buffer;
  /** Machine code of start/<arch>.s; its table stands `page` bytes after it. */
  readonly start: Buffer;
  /** The largest page size of the architecture's kernels. */
  readonly page: number;
  /** The dynamic loader of the libraries. */
  readonly loader: Buffer;
  readonly libraries: readonly Buffer[];
}

const up = (value: number, step: number) => Math.ceil(value / step) * step;

/** @returns the executable with start code, loader and libraries appended, and its own header changed to begin there */
export function carryLibraries({ executable, start, page, loader, libraries }: Parts): Buffer {
  const file = Buffer.from(executable);
  const headers = readProgramHeaders(file);
  const top = Math.max(...headers.filter((h) => h.type === PT.load).map((h) => h.vaddr + h.memsz));
  const base = up(top, page);
  const origin = up(file.length, page);
  const image = loaderImage(loader, page);
  const place = { table: page, loader: 2 * page, blob: 2 * page + image.bytes.length };

  const names = libraries.map(readSoname);
  const nameAt = (index: number) => place.table + 48 + names.length * 24 + index * NAME.length;
  const headersAt = up(nameAt(names.length), 8);
  for (const needed of readNeededNames(file)) {
    const index = names.indexOf(needed.name);
    if (index >= 0) needed.rename(base + nameAt(index));
    else if (needed.name !== readSoname(loader))
      throw new Error(
        `Cannot carry the libraries: the executable needs ${needed.name}, which is not among them`,
      );
  }

  const blob: Buffer[] = [];
  let end = place.blob;
  const rows = libraries.map((bytes, index) => {
    const row = [origin + end, bytes.length, nameAt(index)];
    blob.push(bytes);
    end += bytes.length;
    return row;
  });

  // The loader is to see the program as it was; the kernel is to map all, and to look for no loader.
  const asLinked = headers.map((h) =>
    h.type === PT.phdr ? { ...h, offset: origin + headersAt, vaddr: base + headersAt } : h,
  );
  const segment = (at: number, size: number, flags: number): ProgramHeader => ({
    type: PT.load,
    flags,
    offset: origin + at,
    vaddr: base + at,
    filesz: size,
    memsz: size,
    align: page,
  });
  const asLoaded = [
    // The segment that held the old headers would share a page with data where pages have 64 KiB.
    ...headers.filter(
      (h) => h.type !== PT.interp && h.type !== PT.phdr && h.offset !== readHeadersOffset(file),
    ),
    segment(0, start.length, PF.read | PF.execute),
    segment(place.table, page, PF.read | PF.write),
    ...image.segments.map((s) => segment(place.loader + s.at, s.size, s.flags)),
  ];

  const payload = Buffer.alloc(place.blob);
  start.copy(payload);
  const table = [
    headersAt,
    asLinked.length,
    place.loader,
    readEntry(file) - base,
    place.loader + readEntry(loader),
    rows.length,
    ...rows.flat(),
  ];
  for (const [index, value] of table.entries())
    payload.writeBigInt64LE(BigInt(value), place.table + index * 8);
  for (const index of names.keys()) payload.write(NAME, nameAt(index), 'latin1');
  const linked = encodeProgramHeaders(asLinked);
  linked.copy(payload, headersAt);
  const loaded = encodeProgramHeaders(asLoaded);
  const loadedAt = headersAt + linked.length;
  if (loadedAt + loaded.length > place.loader)
    throw new Error('Cannot carry the libraries: the table is full');
  loaded.copy(payload, loadedAt);
  image.bytes.copy(payload, place.loader);

  writeHeader(file, { entry: base, phoff: origin + loadedAt, phnum: asLoaded.length });
  return Buffer.concat([file, Buffer.alloc(origin - file.length), payload, ...blob]);
}

/** The loader as it lies in memory, its zeroed data written out, in whole pages. */
function loaderImage(loader: Buffer, page: number) {
  const loads = readProgramHeaders(loader).filter((h) => h.type === PT.load);
  const bytes = Buffer.alloc(up(Math.max(...loads.map((h) => h.vaddr + h.memsz)), page));
  for (const h of loads) loader.copy(bytes, h.vaddr, h.offset, h.offset + h.filesz);
  const segments = loads.map((h, index) => {
    const step = h.align;
    const at = Math.floor(h.vaddr / step) * step;
    return { at, size: up(h.vaddr + h.memsz, step) - at, flags: h.flags, index };
  });
  return { bytes, segments };
}
