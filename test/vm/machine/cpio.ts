// An archive that the kernel unpacks as its first root: "newc" of Documentation/driver-api/early-userspace.

export interface CpioEntry {
  /** "bin/busybox" */
  readonly path: string;
  /** Undefined for a directory. */
  readonly content?: Buffer;
}

const FILE_MODE = 0o100755;
const DIRECTORY_MODE = 0o040755;

/** Every file may be executed; directories stand before what is in them. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.map(({ path, content }, index) =>
    record(path, index + 1, content === undefined ? DIRECTORY_MODE : FILE_MODE, content ?? Buffer.alloc(0)),
  );
  return Buffer.concat([...parts, record('TRAILER!!!', 0, 0, Buffer.alloc(0))]);
}

function record(path: string, inode: number, mode: number, content: Buffer): Buffer {
  const name = Buffer.from(`${path}\0`);
  const [uid, gid, links, mtime, device] = [0, 0, 1, 0, 0];
  const fields = [
    inode,
    mode,
    uid,
    gid,
    links,
    mtime,
    content.length,
    device,
    device,
    device,
    device,
    name.length,
    0,
  ];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(head), name])), padded(content)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], Math.ceil(bytes.length / 4) * 4);
}
