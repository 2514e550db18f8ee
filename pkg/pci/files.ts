// Reading sysfs: a device may go away, and an attribute may be refused, between any two reads.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * What a missing or refused attribute answers: ENODEV and ENXIO of a device on its way out, EOPNOTSUPP (phys_port_name)
 * and EINVAL (speed of a link that is down) of a driver that has nothing to say.
 */
const NOTHING: ReadonlySet<unknown> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ENODEV',
  'ENXIO',
  'EOPNOTSUPP',
  'ENOTSUP',
  'EINVAL',
]);

/** Names by alphabet; none of a missing directory. */
export function list(directory: string): string[] {
  return ifThere(() => readdirSync(directory).sort()) ?? [];
}

export function exists(path: string): boolean {
  return ifThere(() => statSync(path)) !== undefined;
}

/** Without the newline; undefined for an empty or missing attribute too. */
export function readText(path: string): string | undefined {
  return ifThere(() => readFileSync(path, 'utf8'))?.trim() || undefined;
}

/** Decimal, or with 0x; undefined for a missing attribute and for a negative value, sysfs's "none". */
export function readNumber(path: string): number | undefined {
  const text = readText(path);
  if (text === undefined || !/^(\d+|0x[0-9a-f]+)$/i.test(text)) return undefined;
  return Number(text);
}

/** The last name in what a link points to. */
export function readLinkName(path: string): string | undefined {
  const target = ifThere(() => readlinkSync(path));
  return target === undefined ? undefined : basename(target);
}

/** Device names come from users: none may lead out of its directory. */
export function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/** @returns undefined when the file is missing, or has nothing to say */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (NOTHING.has(code)) return undefined;
    throw error;
  }
}
