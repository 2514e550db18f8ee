// The ELF kernel inside a bzImage: QEMU starts it directly, which spares the guest the unpacking at emulation speed.
import { zstdDecompressSync } from 'node:zlib';

/**
 * @param image Debian's vmlinuz (boot protocol 2.08 or later, zstd)
 * @throws Error when it is no such image
 */
export function vmlinuxOf(image: Buffer): Buffer {
  if (image.toString('latin1', 0x202, 0x206) !== 'HdrS')
    throw new Error('Cannot unpack the kernel: no boot header (vmlinuz)');
  // Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length.
  const setupSectors = image.readUInt8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  // The payload ends with its unpacked size, which zstd does not know.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const elf = zstdDecompressSync(payload, { maxOutputLength: 1 << 28 });
  if (elf.toString('latin1', 1, 4) !== 'ELF')
    throw new Error('Cannot unpack the kernel: its payload is no ELF file');
  return elf;
}
