// The little of ELF (64 bit, little-endian) that the build reads and writes: program headers, the dynamic section.

export const PT = { load: 1, dynamic: 2, interp: 3, note: 4, phdr: 6 } as const;
export const PF = { execute: 1, write: 2, read: 4 } as const;
const HEADER = { entry: 24, phoff: 32, shoff: 40, phnum: 56, shnum: 60, shstrndx: 62 } as const;
const PHDR_SIZE = 56;
const DT = {
  null: 0,
  needed: 1,
  strtab: 5,
  soname: 14,
  verneed: 0x6ffffffe,
  verneednum: 0x6fffffff,
} as const;

export interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly vaddr: number;
  readonly filesz: number;
  readonly memsz: number;
  readonly align: number;
}

const number = (file: Buffer, at: number) => Number(file.readBigUInt64LE(at));

/** @throws Error when the file is not a 64-bit little-endian ELF file */
export function readProgramHeaders(file: Buffer): ProgramHeader[] {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new Error('Cannot read the executable: it is no 64-bit little-endian ELF file');
  const start = number(file, HEADER.phoff);
  return Array.from({ length: file.readUInt16LE(HEADER.phnum) }, (_, index) => {
    const at = start + index * PHDR_SIZE;
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: number(file, at + 8),
      vaddr: number(file, at + 16),
      filesz: number(file, at + 32),
      memsz: number(file, at + 40),
      align: number(file, at + 48),
    };
  });
}

export function encodeProgramHeaders(headers: readonly ProgramHeader[]): Buffer {
  const bytes = Buffer.alloc(headers.length * PHDR_SIZE);
  headers.forEach((header, index) => {
    const at = index * PHDR_SIZE;
    bytes.writeUInt32LE(header.type, at);
    bytes.writeUInt32LE(header.flags, at + 4);
    for (const [field, value] of [header.offset, header.vaddr, header.vaddr].entries())
      bytes.writeBigUInt64LE(BigInt(value), at + 8 + field * 8);
    for (const [field, value] of [header.filesz, header.memsz, header.align].entries())
      bytes.writeBigUInt64LE(BigInt(value), at + 32 + field * 8);
  });
  return bytes;
}

export const readHeadersOffset = (file: Buffer) => number(file, HEADER.phoff);
export const readEntry = (file: Buffer) => number(file, HEADER.entry);

/** The sections are forgotten: they would describe the file as it was. */
export function writeHeader(file: Buffer, header: { entry: number; phoff: number; phnum: number }): void {
  file.writeBigUInt64LE(BigInt(header.entry), HEADER.entry);
  file.writeBigUInt64LE(BigInt(header.phoff), HEADER.phoff);
  file.writeUInt16LE(header.phnum, HEADER.phnum);
  file.writeBigUInt64LE(0n, HEADER.shoff);
  file.writeUInt16LE(0, HEADER.shnum);
  file.writeUInt16LE(0, HEADER.shstrndx);
}

/** Where in the file the byte at this address is. */
function fileOffset(headers: readonly ProgramHeader[], vaddr: number): number {
  const home = headers.find((h) => h.type === PT.load && vaddr >= h.vaddr && vaddr < h.vaddr + h.filesz);
  if (home === undefined)
    throw new Error(`Cannot find address 0x${vaddr.toString(16)} in the file: no segment has it`);
  return home.offset + vaddr - home.vaddr;
}

/** Every place that names a needed library: DT_NEEDED and the version tables. */
export interface NeededName {
  readonly name: string;
  /** Gives it another name: a string at this address, after the string table. */
  rename(vaddr: number): void;
}

/** The dynamic section, and the strings that it refers to. */
function readDynamic(file: Buffer) {
  const headers = readProgramHeaders(file);
  const dynamic = headers.find((h) => h.type === PT.dynamic);
  if (dynamic === undefined) throw new Error('Cannot read the dynamic section: the file has none');
  const entries: { tag: number; value: number; at: number }[] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.filesz; at += 16) {
    const tag = number(file, at);
    if (tag === DT.null) break;
    entries.push({ tag, value: number(file, at + 8), at: at + 8 });
  }
  const lookUp = (tag: number) => entries.find((entry) => entry.tag === tag)?.value ?? 0;
  const strings = lookUp(DT.strtab);
  const text = (offset: number) => {
    const from = fileOffset(headers, strings + offset);
    return file.toString('latin1', from, file.indexOf(0, from));
  };
  return { headers, entries, lookUp, strings, text };
}

/** The name that a library goes by: "libc.so.6". */
export function readSoname(file: Buffer): string {
  const { lookUp, text } = readDynamic(file);
  return text(lookUp(DT.soname));
}

export function readNeededNames(file: Buffer): NeededName[] {
  const { headers, entries, lookUp, strings, text } = readDynamic(file);
  const needed = entries
    .filter((entry) => entry.tag === DT.needed)
    .map(({ value, at }) => ({
      name: text(value),
      rename: (vaddr: number) => file.writeBigUInt64LE(BigInt(vaddr - strings), at),
    }));
  // Elf64_Verneed: version, count, file, aux, next. The loader looks a version up by the name it opened.
  const versions: NeededName[] = [];
  let at = lookUp(DT.verneednum) === 0 ? 0 : fileOffset(headers, lookUp(DT.verneed));
  for (let left = lookUp(DT.verneednum); left > 0; left -= 1) {
    const place = at + 4;
    versions.push({
      name: text(file.readUInt32LE(place)),
      rename: (vaddr) => file.writeUInt32LE(vaddr - strings, place),
    });
    at += file.readUInt32LE(at + 12);
  }
  return [...needed, ...versions];
}
