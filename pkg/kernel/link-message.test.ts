import { describe, expect, test } from 'vitest';
import { attribute, nested, string, u32 } from './attributes.ts';
import { linkHeader, parseLink, setLinkBody } from './link-message.ts';

const message = (...attributes: Uint8Array[]): Buffer =>
  Buffer.concat([linkHeader(7, 0x11043), ...attributes]);
const MAC = attribute(1, Buffer.from('02005e005301', 'hex'));

describe('a link that this machine has none of', () => {
  test('a physical function gives its device, its own MAC and its virtual functions', () => {
    const vf = nested(1, [
      attribute(1, Buffer.alloc(36, Buffer.from('0100000002005e0053aa', 'hex')).fill(0, 10)),
    ]);
    const link = parseLink(
      message(
        string(3, 'ens1f0'),
        MAC,
        attribute(54, Buffer.from('02005e0053ff', 'hex')),
        string(57, 'pci'),
        string(56, '0000:3b:00.0'),
        string(38, 'pf0vf3'),
        attribute(34, Buffer.from('0c42a1', 'hex')),
        nested(22, [vf]),
      ),
    );
    expect(link).toMatchObject({
      index: 7,
      name: 'ens1f0',
      mac: '02:00:5e:00:53:01',
      permMac: '02:00:5e:00:53:ff',
      device: { bus: 'pci', name: '0000:3b:00.0' },
      portName: 'pf0vf3',
      portId: '0c42a1',
      up: true,
      running: true,
      multicast: true,
    });
    expect(link.vfs).toMatchObject([{ index: 1, mac: '02:00:5e:00:53:aa' }]);
  });

  test('an InfiniBand link has a MAC of twenty bytes, and so have its virtual functions', () => {
    const vf = nested(1, [attribute(1, Buffer.concat([Buffer.alloc(4), Buffer.alloc(32, 0xab)]))]);
    const link = parseLink(message(attribute(1, Buffer.alloc(20, 0xcd)), nested(22, [vf])));
    expect(link.mac).toBe(Array(20).fill('cd').join(':'));
    expect(link.vfs[0]?.mac).toBe(Array(20).fill('ab').join(':'));
  });

  test('a tunnel without parent, MAC or queue has none', () => {
    expect(parseLink(message(string(3, 'tun0'), u32(5, 0), attribute(1, Buffer.alloc(0))))).toMatchObject({
      mac: undefined,
      parentIndex: undefined,
      parentNetnsId: undefined,
      kind: undefined,
      macvlan: undefined,
      txQueueLength: 0,
    });
  });

  test('attributes that are newer than this program are passed over', () => {
    expect(
      parseLink(message(string(3, 'eth0'), attribute(999, Buffer.alloc(3)), u32(4, 1500))),
    ).toMatchObject({
      name: 'eth0',
      mtu: 1500,
    });
  });
});

describe('a change', () => {
  test('of flags says which and leaves the others', () => {
    const [header] = setLinkBody(7, { up: false, promisc: true, arp: true }) ?? [];
    expect(Buffer.from(header ?? []).toString('hex')).toBe('00000000' + '07000000' + '00010000' + '81010000');
  });

  test('of nothing is no message', () => {
    expect(setLinkBody(7, {})).toBeUndefined();
    expect(setLinkBody(7, { addAltnames: ['x'], vf: { index: 0 } })).toBeUndefined();
  });

  test('that clears the alias sends an empty one', () => {
    const [, alias] = setLinkBody(7, { alias: '' }) ?? [];
    expect(Buffer.from(alias ?? []).toString('hex')).toBe('04001400');
  });
});
