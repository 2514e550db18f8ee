import { expect, test } from 'vitest';
import { readFrames } from './wire.ts';

/** A record as QEMU's filter-dump writes it: seconds, microseconds, length kept, length on the wire. */
function record(hex: string): Buffer {
  const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const head = Buffer.alloc(16);
  head.writeUInt32LE(frame.length, 8);
  head.writeUInt32LE(frame.length, 12);
  return Buffer.concat([head, frame]);
}

const MACS = '02005e005301 02005e005302';

test('a frame without a tag shows its type and payload', () => {
  const [frame] = readFrames(record(`${MACS} 0800 45000054`));
  expect(frame).toEqual({
    dst: '02:00:5e:00:53:01',
    src: '02:00:5e:00:53:02',
    vlan: undefined,
    etherType: 0x0800,
    payload: Buffer.from('45000054', 'hex'),
  });
});

test.each([
  ['8100', '6064', { id: 100, priority: 3, protocol: 0x8100 }],
  ['88a8', 'effe', { id: 4094, priority: 7, protocol: 0x88a8 }],
])('the tag %s %s shows identifier and priority', (protocol, tag, vlan) => {
  const [frame] = readFrames(record(`${MACS} ${protocol} ${tag} 86dd 6000`));
  expect(frame).toMatchObject({ vlan, etherType: 0x86dd, payload: Buffer.from('6000', 'hex') });
});

test('what QEMU has not written to its end is left for later', () => {
  const whole = record(`${MACS} 0806 00010800`);
  const both = Buffer.concat([whole, whole]);
  expect(readFrames(both)).toHaveLength(2);
  for (const cut of [1, 20, whole.length - 1]) expect(readFrames(both.subarray(0, -cut))).toHaveLength(1);
});
