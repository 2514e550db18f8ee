// A blocking netlink socket that was made inside a namespace and stays there.
import { ManifoldError } from '../errors/manifold-error.ts';
import { type Task, type Transport, taskText } from './exchange.ts';
import { kernelError } from './kernel-error.ts';
import { libc } from './libc.ts';
import { inNamespace } from './netns.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
export const NETLINK_RDMA = 20;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const MSG_PEEK = 0x02;
const MSG_TRUNC = 0x20;
const EINTR = 4;
const EAGAIN = 11;

/** The kernel answers in microseconds; only a machine that hangs on the rtnl lock comes near. */
const ANSWER_MS = 30_000;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export interface NetlinkSocket extends Transport {
  close(): void;
}

/**
 * @param namespaceFd the namespace to be in; undefined for the thread's own
 * @param answerMs how long a call waits for the kernel
 * @param protocol NETLINK_*
 * @throws KernelError; later calls ManifoldError 'try-later' when the kernel does not answer
 */
export function openNetlinkSocket(
  namespaceFd: number | undefined,
  where: string,
  answerMs = ANSWER_MS,
  protocol = NETLINK_ROUTE,
): NetlinkSocket {
  const task = `open a netlink socket in ${where}`;
  const { socket, setsockopt, send, recv, close, errno } = libc();
  const open = () => {
    const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd === -1) throw kernelError(task, errno());
    return fd;
  };
  let fd = namespaceFd === undefined ? open() : inNamespace(namespaceFd, open, where);
  // All but the last three are wishes: an old kernel or a lack of rights must not be an error.
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, int(1), 4);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, int(1), 4);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, int(1), 4);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER_BYTES), 4);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(answerMs), 16);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeval(answerMs), 16);

  let buffer = Buffer.allocUnsafeSlow(64 * 1024);

  const receiveInto = (flags: number, doing: Task): number => {
    for (;;) {
      const count = Number(recv(fd, buffer, BigInt(buffer.length), flags));
      if (count >= 0) return count;
      const reason = errno();
      if (reason === EINTR) continue;
      if (reason === EAGAIN) throw noAnswer(doing, answerMs);
      throw kernelError(taskText(doing), reason);
    }
  };

  return {
    send(datagram, doing) {
      for (;;) {
        if (send(fd, datagram, BigInt(datagram.length), 0) >= 0) return;
        const reason = errno();
        if (reason !== EINTR) throw kernelError(taskText(doing), reason);
      }
    },
    receive(doing) {
      // A physical function with many virtual ones answers in a datagram beyond any fixed size.
      const size = receiveInto(MSG_PEEK | MSG_TRUNC, doing);
      if (size > buffer.length) buffer = Buffer.allocUnsafeSlow(size);
      return buffer.subarray(0, receiveInto(0, doing));
    },
    close() {
      if (fd === -1) return;
      close(fd);
      fd = -1;
    },
  };
}

function noAnswer(task: Task, ms: number): ManifoldError {
  return new ManifoldError(
    'try-later',
    `Cannot ${taskText(task)}: the kernel did not answer within ${ms} ms`,
    {
      hint: 'Something holds the kernel\'s network lock; see "dmesg" and "cat /proc/*/stack".',
    },
  );
}

function int(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** struct timeval. */
function timeval(ms: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
  bytes.writeBigInt64LE(BigInt(ms % 1000) * 1000n, 8);
  return bytes;
}
