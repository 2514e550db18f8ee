import { formatMessage } from 'netlink/dist/structs.js';
import { describe, expect, test } from 'vitest';
import { attribute } from './attributes.ts';
import { createExchange, type Transport } from './exchange.ts';

const RTM_NEWLINK = 16;
const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const INTERRUPTED = 0x10;
const MULTI = 2;
const CAPPED_WITH_TEXT = 0x300;
const TEXT_ONLY = 0x200;

interface Reply {
  readonly type: number;
  readonly flags?: number;
  readonly data?: Uint8Array;
  /** Relative to the request's number; 0 is an answer to it. */
  readonly seqOffset?: number;
}

/** Answers each request with the next of these lists of datagrams, and counts what was read of them. */
function answering(...conversations: Reply[][][]) {
  const waiting: Buffer[] = [];
  let sent = 0;
  const transport: Transport = {
    send(datagram) {
      const seq = Buffer.from(datagram).readUInt32LE(8);
      for (const replies of conversations[sent] ?? []) {
        const messages = replies.map(({ type, flags = 0, data = Buffer.alloc(0), seqOffset = 0 }) =>
          Buffer.concat(formatMessage({ type, flags, seq: seq + seqOffset, port: 1, data })),
        );
        waiting.push(Buffer.concat(messages));
      }
      sent += 1;
    },
    receive() {
      const next = waiting.shift();
      if (next === undefined) throw new Error('read more than the kernel sent');
      return next;
    },
  };
  return { exchange: createExchange(transport), unread: () => waiting.length, sent: () => sent };
}

const object = (value: number, flags = MULTI): Reply => ({ type: RTM_NEWLINK, flags, data: word(value) });
const done = (errno = 0): Reply => ({ type: NLMSG_DONE, flags: MULTI, data: word(-errno) });
const request = { type: 18, body: [Buffer.alloc(16)], task: 'list links in a test' };
const read = (payload: Buffer) => payload.readInt32LE(0);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** NLMSG_ERROR: errno, the refused header, the words. */
function refusal(errno: number, words?: string, flags = CAPPED_WITH_TEXT): Reply {
  const header = Buffer.alloc(flags === TEXT_ONLY ? 32 : 16);
  header.writeUInt32LE(32, 0);
  const text = words === undefined ? Buffer.alloc(0) : attribute(1, Buffer.from(`${words}\0`));
  return { type: NLMSG_ERROR, flags, data: Buffer.concat([word(-errno), header, text]) };
}

describe('a dump', () => {
  test('gathers the objects of all datagrams up to the end', () => {
    const { exchange, unread } = answering([[object(1), object(2)], [object(3)], [done()]]);
    expect(exchange.dump(request, read)).toEqual([1, 2, 3]);
    expect(unread()).toBe(0);
  });

  test('leaves out what the reader leaves out', () => {
    const { exchange } = answering([[object(1), object(2), done()]]);
    expect(exchange.dump(request, (payload) => (read(payload) === 1 ? undefined : read(payload)))).toEqual([
      2,
    ]);
  });

  test.each([
    ['in the first object', [[object(1, MULTI | INTERRUPTED)], [object(2), done()]]],
    ['in the last object', [[object(1), object(2, MULTI | INTERRUPTED)], [done()]]],
    ['in the end mark alone', [[object(1)], [{ ...done(), flags: MULTI | INTERRUPTED }]]],
  ])('that is marked as interrupted %s is read to its end and repeated', (_where, interrupted) => {
    const { exchange, unread, sent } = answering(interrupted, [[object(7), done()]]);
    expect(exchange.dump(request, read)).toEqual([7]);
    expect(unread()).toBe(0);
    expect(sent()).toBe(2);
  });

  test('that is interrupted ten times asks to try later', () => {
    const interrupted = [[object(1, MULTI | INTERRUPTED), done()]];
    const { exchange, sent } = answering(...Array.from({ length: 20 }, () => interrupted));
    expect(() => exchange.dump(request, read)).toThrow(
      expect.objectContaining({
        code: 'try-later',
        message: 'Cannot list links in a test: it changed during each of 10 attempts to read it',
      }),
    );
    expect(sent()).toBe(10);
  });

  test('whose reader fails is read to its end before it throws', () => {
    const { exchange, unread } = answering([[object(1)], [object(2)], [done()]]);
    const fails = () => {
      throw new Error('cannot read this');
    };
    expect(() => exchange.dump(request, fails)).toThrow('cannot read this');
    expect(unread()).toBe(0);
  });

  test('ends with the error that its end mark carries', () => {
    const { exchange } = answering([[object(1)], [done(19)]]);
    expect(() => exchange.dump(request, read)).toThrow('Cannot list links in a test: ENODEV');
  });

  test('reads the words of an error in its end mark', () => {
    const words = attribute(1, Buffer.from('no such thing\0'));
    const end = { type: NLMSG_DONE, flags: MULTI | TEXT_ONLY, data: Buffer.concat([word(-22), words]) };
    const { exchange } = answering([[end]]);
    expect(() => exchange.dump(request, read)).toThrow('Cannot list links in a test: EINVAL: no such thing');
  });

  test('of nothing is empty', () => {
    expect(answering([[done()]]).exchange.dump(request, read)).toEqual([]);
  });
});

describe('a change', () => {
  test('is over when it is acknowledged', () => {
    const { exchange, unread } = answering([[refusal(0)]]);
    exchange.change(request);
    expect(unread()).toBe(0);
  });

  test.each([
    [17, 'EEXIST', 'exists'],
    [19, 'ENODEV', 'not-found'],
    [11, 'EAGAIN', 'try-later'],
    [105, 'ENOBUFS', 'try-later'],
    [22, 'EINVAL', 'kernel'],
    [95, 'EOPNOTSUPP', 'kernel'],
    [524, 'ENOTSUPP', 'kernel'],
    [999, 'errno 999', 'kernel'],
  ])('that is refused with %i says %s (%s)', (number, errno, code) => {
    const { exchange } = answering([[refusal(number)]]);
    expect(() => exchange.change(request)).toThrow(
      expect.objectContaining({ errno, code, message: `Cannot list links in a test: ${errno}` }),
    );
  });

  test.each([
    ['with the header of the request alone', CAPPED_WITH_TEXT],
    ['with the whole request', TEXT_ONLY],
  ])('that is refused %s gives the words of the kernel', (_how, flags) => {
    const { exchange } = answering([[refusal(22, 'mtu greater than device maximum', flags)]]);
    expect(() => exchange.change(request)).toThrow(
      'Cannot list links in a test: EINVAL: mtu greater than device maximum',
    );
  });

  test('passes over late answers to an earlier request', () => {
    const late = { ...refusal(22), seqOffset: -1 };
    const { exchange } = answering([[late], [{ type: NLMSG_NOOP }, refusal(0)]]);
    expect(() => exchange.change(request)).not.toThrow();
  });
});

describe('a question', () => {
  test('is answered by one object', () => {
    expect(answering([[object(5, 0)]]).exchange.get(request, read)).toBe(5);
  });

  test('can be refused', () => {
    const { exchange } = answering([[refusal(19)]]);
    expect(() => exchange.get(request, read)).toThrow('Cannot list links in a test: ENODEV');
  });
});

test('a task is described only when it failed', () => {
  let described = 0;
  const task = () => {
    described += 1;
    return 'do it';
  };
  const { exchange } = answering([[refusal(0)]], [[refusal(1)]]);
  exchange.change({ ...request, task });
  expect(described).toBe(0);
  expect(() => exchange.change({ ...request, task })).toThrow('Cannot do it: EPERM');
});
