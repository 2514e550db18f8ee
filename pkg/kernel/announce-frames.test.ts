import { expect, test } from 'vitest';
import { advertisementFrame, arpFrame } from './announce-frames.ts';
import { parseAddress, parseMac } from './inet.ts';

const MAC = parseMac('02:00:5e:00:53:01');

test('an ARP announcement asks everybody for the address that it comes from', () => {
  expect(arpFrame(MAC, parseAddress('10.1.2.3').bytes).toString('hex')).toBe(
    'ffffffffffff' +
      '02005e005301' +
      '0806' + // Ethernet
      '0001' +
      '0800' +
      '06' +
      '04' +
      '0001' + // Ethernet, IPv4, request
      '02005e005301' +
      '0a010203' +
      '000000000000' +
      '0a010203',
  );
});

test('a neighbour advertisement goes to all nodes, overrides, and carries the MAC', () => {
  const frame = advertisementFrame(MAC, parseAddress('2001:db8::1').bytes);
  const text = frame.toString('hex');
  expect(text.slice(0, 28)).toBe('333300000001' + '02005e005301' + '86dd');
  expect(text.slice(28, 44)).toBe('60000000' + '0020' + '3a' + 'ff');
  expect(text.slice(44, 76)).toBe('20010db8000000000000000000000001');
  expect(text.slice(76, 108)).toBe('ff020000000000000000000000000001');
  expect(text.slice(108, 112)).toBe('8800');
  expect(text.slice(116)).toBe('20000000' + '20010db8000000000000000000000001' + '0201' + '02005e005301');
});

test('the checksum over pseudo-header and message comes out as all ones', () => {
  const frame = advertisementFrame(MAC, parseAddress('fe80::ff:fe00:1').bytes);
  const summed = Buffer.concat([
    frame.subarray(22, 54),
    Buffer.from([0, 0, 0, 32, 0, 0, 0, 58]),
    frame.subarray(54),
  ]);
  let sum = 0;
  for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  expect(sum).toBe(0xffff);
});
