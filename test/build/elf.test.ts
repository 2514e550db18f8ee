import { readFileSync } from 'node:fs';
import { execPath } from 'node:process';
import { expect, test } from 'vitest';
import { type ProgramHeader, PT, readEntry, readNeededNames, readProgramHeaders } from '../../build/elf.ts';
import { stripUnmapped } from '../../build/strip.ts';

const node = readFileSync(execPath);
const loadsOf = (file: Buffer) => readProgramHeaders(file).filter((h) => h.type === PT.load);
/** Without the file's own headers, which lie at the start of the first segment. */
const contentOf = (file: Buffer, { offset, filesz }: ProgramHeader) =>
  file.subarray(Math.max(offset, 64 + readProgramHeaders(file).length * 56), offset + filesz);

test('the libraries that Node needs are found, under their names and in the version tables', () => {
  const names = readNeededNames(node).map(({ name }) => name);
  expect(new Set(names)).toEqual(new Set(names.filter((name) => /^(lib|ld-)[\w+-]+\.so\.\d+$/.test(name))));
  // Once in DT_NEEDED, once in DT_VERNEED.
  expect(names.filter((name) => name === 'libc.so.6')).toHaveLength(2);
});

test.each([0x1000, 0x10000])('stripping for pages of %d bytes changes nothing that is mapped', (page) => {
  const stripped = stripUnmapped(node, page);
  expect(stripped.length).toBeLessThan(node.length);
  expect(readEntry(stripped)).toBe(readEntry(node));
  const after = loadsOf(stripped);
  for (const [index, before] of loadsOf(node).entries()) {
    const now = after[index];
    if (now === undefined) throw new Error(`segment ${index} is gone`);
    expect({ ...now, offset: before.offset }).toEqual(before);
    expect((now.vaddr - now.offset) % page).toBe(0);
    expect(contentOf(stripped, now).equals(contentOf(node, before))).toBe(true);
  }
});

test('what is no ELF file is refused', () => {
  expect(() => readProgramHeaders(Buffer.from('#!/bin/sh\nexit 0\n'))).toThrow(/no 64-bit little-endian ELF/);
});
