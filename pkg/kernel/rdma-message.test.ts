import { expect, test } from 'vitest';
import * as message from './rdma-message.ts';

const hex = (body: Uint8Array[]) => Buffer.concat(body).toString('hex');

const bytes = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

test('the numbers of the messages are those of the client 5', () => {
  const { RDMA_GET, RDMA_SET, RDMA_PORT_GET, RDMA_SYS_GET, RDMA_SYS_SET } = message;
  expect([RDMA_GET, RDMA_SET, RDMA_PORT_GET, RDMA_SYS_GET, RDMA_SYS_SET]).toEqual([
    0x1401, 0x1402, 0x1405, 0x1406, 0x1407,
  ]);
});

test('a device is named by its index, and moved by a descriptor alone', () => {
  expect(hex(message.deviceBody(3))).toBe('0800010003000000');
  expect(hex(message.moveBody(3, 21))).toBe('08000100030000000800440015000000');
  expect(hex(message.renameBody(3, 'mlx5_4'))).toBe('08000100030000000b0002006d6c78355f340000');
});

test('the mode is one byte', () => {
  expect(hex(message.modeBody('exclusive'))).toBe('0500420000000000');
  expect(hex(message.modeBody('shared'))).toBe('0500420001000000');
  expect(message.parseMode(bytes('0500420000000000 05005b0001000000'))).toBe('exclusive');
  expect(message.parseMode(bytes('0500420001000000'))).toBe('shared');
});

test('a kernel that says nothing of the mode shares', () => {
  expect(message.parseMode(Buffer.alloc(0))).toBe('shared');
});

test('a device is read, its GUID in the order of its digits', () => {
  const payload = bytes(`
    0800010002000000 0b000200 6d6c78355f3200 00 0800030001000000
    0c000600 01535efeff5e0002 09004300 726f636500 000000`);
  expect(message.parseDevice(payload)).toEqual({
    index: 2,
    name: 'mlx5_2',
    ports: 1,
    nodeGuid: '0200:5eff:fe5e:5301',
    protocol: 'roce',
  });
});

test('a device of an older kernel has no protocol', () => {
  expect(message.parseDevice(bytes('0800010000000000'))).toEqual({
    index: 0,
    name: '',
    ports: 0,
    nodeGuid: '',
    protocol: undefined,
  });
});

test('a port has its interface, or none in this namespace', () => {
  const port = '0800010002000000 0800030001000000';
  expect(message.parsePort(bytes(`${port} 0800320007000000 09003300 6574683100 000000`))).toEqual({
    number: 1,
    netdev: { index: 7, name: 'eth1' },
  });
  expect(message.parsePort(bytes(port))).toEqual({ number: 1, netdev: undefined });
});
