import { describe, expect, test } from 'vitest';
import { isManifoldError } from '../errors/manifold-error.ts';
import { createExchange } from './exchange.ts';
import type { Namespace } from './kernel.ts';
import { kernelError } from './kernel-error.ts';
import { createRdma } from './linux-rdma.ts';

const bytes = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
// What the kernel's side needs of a target here: its path, for words.
const POD = { path: '/run/netns/pod' } as Namespace;

/** Answers each request with the next of these datagrams. */
function answering(...datagrams: string[]) {
  const sent: string[] = [];
  const waiting = datagrams.map(bytes);
  const exchange = createExchange({
    send: (datagram) => sent.push(Buffer.from(datagram).toString('hex')),
    receive: () => waiting.shift() ?? Buffer.alloc(0),
  });
  return {
    rdma: createRdma(
      (ask) => ask(exchange),
      'the host',
      () => 21,
    ),
    sent,
  };
}

/** NLMSG_ERROR to request 1 of a type, with the header of the request, capped. */
const answer = (errno: number, type: string) => {
  const number = Buffer.alloc(4);
  number.writeInt32LE(-errno);
  return `24000000 0200 0001 01000000 01000000 ${number.toString('hex')} 20000000 ${type} 0500 01000000 00000000`;
};
const refusal = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (isManifoldError(error)) return error;
  }
  throw new Error('not refused');
};

test('a move is one message with index and descriptor, acknowledged', () => {
  const { rdma, sent } = answering(answer(0, '0214'));
  rdma.move(9, POD);
  // nlmsghdr: 32 bytes, RDMA_NLDEV_CMD_SET, REQUEST | ACK, number 1; DEV_INDEX 9; NET_NS_FD 21.
  expect(sent).toEqual(['20000000021405000100000000000000' + '0800010009000000' + '0800440015000000']);
});

describe('what the kernel refuses', () => {
  test('a move in shared mode, or of a driver that keeps its device', () => {
    const error = refusal(() => answering(answer(95, '0214')).rdma.move(9, POD));
    expect(error.code).toBe('unsupported-field');
    expect(error.message).toBe('Cannot move RDMA device 9 from the host to /run/netns/pod: EOPNOTSUPP');
    expect(error.hint).toContain('exclusive mode');
  });

  test.each<[number, string]>([
    [19, 'Cannot move RDMA device 9 from the host to /run/netns/pod: ENODEV'],
    [1, 'Cannot move RDMA device 9 from the host to /run/netns/pod: EPERM'],
    [22, 'Cannot move RDMA device 9 from the host to /run/netns/pod: EINVAL'],
  ])('a move, errno %i', (errno, message) => {
    expect(refusal(() => answering(answer(errno, '0214')).rdma.move(9, POD)).message).toBe(message);
  });

  test('a name that is taken', () => {
    const error = refusal(() => answering(answer(17, '0214')).rdma.rename(9, 'mlx5_0'));
    expect([error.code, error.message]).toEqual([
      'exists',
      'Cannot rename RDMA device 9 of the host to mlx5_0: EEXIST',
    ]);
  });

  test('exclusive mode while there are namespaces', () => {
    const { rdma, sent } = answering(answer(16, '0714'));
    expect(refusal(() => rdma.setMode('exclusive')).message).toBe(
      'Cannot set the RDMA namespace mode to exclusive: EBUSY',
    );
    expect(sent).toEqual(['18000000071405000100000000000000' + '0500420000000000']);
  });
});

test('the mode is read from the answer of the system', () => {
  const { rdma, sent } = answering('18000000 0614 0000 01000000 01000000 0500420000000000');
  expect(rdma.mode()).toBe('exclusive');
  expect(sent).toEqual(['10000000061401000100000000000000']);
});

test('a kernel without RDMA has no devices and shares; what asks for one says why not', () => {
  const rdma = createRdma(
    () => {
      throw kernelError('open a netlink socket in the host', 93);
    },
    'the host',
    () => 21,
  );
  expect(rdma.devices()).toEqual([]);
  expect(rdma.mode()).toBe('shared');
  expect(refusal(() => rdma.move(9, POD)).message).toContain('EPROTONOSUPPORT');
});
