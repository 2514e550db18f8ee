// Netlink attributes: building and reading them, over the netlink package's codec.
import { formatAttribute, getU32, pad, parseAttributes, putString, putU32 } from 'netlink/dist/structs.js';

/** Attributes by type; of a type that repeats, the last. */
export type Attributes = ReadonlyMap<number, Buffer>;

export function readAttributes(bytes: Buffer): Attributes {
  const found = new Map<number, Buffer>();
  parseAttributes(bytes, ({ type, data }) => found.set(type, data));
  return found;
}

/** Those of one type, in order: a list such as IFLA_PROP_LIST repeats a type. */
export function readList(bytes: Buffer, type: number): Buffer[] {
  const found: Buffer[] = [];
  parseAttributes(bytes, (attribute) => {
    if (attribute.type === type) found.push(attribute.data);
  });
  return found;
}

/** A string up to its first NUL, which the kernel does not always send. */
export function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

export function textOf(attributes: Attributes, type: number): string | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined ? undefined : text(bytes);
}

export function u32Of(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined ? undefined : getU32(bytes);
}

/** One attribute, padded to four bytes. */
export function attribute(type: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat(pad(formatAttribute({ type, data: bytes })));
}

export function u32(type: number, value: number): Uint8Array {
  return attribute(type, putU32(value >>> 0));
}

/** A string with its NUL. */
export function string(type: number, value: string): Uint8Array {
  return attribute(type, putString(value));
}

/** An attribute of attributes, with NLA_F_NESTED, without which strict messages are refused. */
export function nested(type: number, inner: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(formatAttribute({ type, nested: true, data: [...inner] }));
}
