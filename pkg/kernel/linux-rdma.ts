// The real RDMA subsystem. A device is moved only by a thread that is in the device's namespace: the kernel compares
// that, not the socket's, with where the device is (rdma_dev_change_netns). So each call enters, opens, asks, leaves.
import { ManifoldError } from '../errors/manifold-error.ts';
import { createExchange, type Exchange, type Task } from './exchange.ts';
import type { Namespace } from './kernel.ts';
import { isErrno, KernelError } from './kernel-error.ts';
import { LinuxNamespace } from './namespace.ts';
import { NETLINK_RDMA, openNetlinkSocket } from './netlink-socket.ts';
import type { OpenRdma, Rdma } from './rdma.ts';
import * as message from './rdma-message.ts';

/** Runs `ask` over a socket of the namespace, the thread being there. @throws KernelError EPROTONOSUPPORT without ib_core */
export type AskRdma = <T>(ask: (exchange: Exchange) => T) => T;

export const openRdma: OpenRdma = (namespace) => {
  const real = linux(namespace);
  const where = namespace.path ?? "the host's network namespace";
  return createRdma(
    (ask) =>
      real.inside(() => {
        const socket = openNetlinkSocket(undefined, where, undefined, NETLINK_RDMA);
        try {
          return ask(createExchange(socket));
        } finally {
          socket.close();
        }
      }),
    where,
    (target) => linux(target).fd,
  );
};

/** @param fdOf the descriptor that names another namespace */
export function createRdma(ask: AskRdma, where: string, fdOf: (target: Namespace) => number): Rdma {
  const change = (type: number, body: Uint8Array[], task: Task) =>
    ask((exchange) => exchange.change({ type, body, task }));
  /** What a kernel without RDMA would answer. */
  const unless = <T>(work: () => T, nothing: T): T => {
    try {
      return work();
    } catch (error) {
      if (!isErrno(error, 'EPROTONOSUPPORT')) throw error;
      return nothing;
    }
  };
  return {
    mode: () =>
      unless(
        () =>
          ask(({ get }) =>
            get(
              { type: message.RDMA_SYS_GET, body: [], task: 'read the RDMA namespace mode' },
              message.parseMode,
            ),
          ),
        'shared',
      ),
    setMode: (mode) =>
      change(message.RDMA_SYS_SET, message.modeBody(mode), `set the RDMA namespace mode to ${mode}`),
    devices: () =>
      unless(
        () =>
          ask(({ dump }) =>
            dump(
              { type: message.RDMA_GET, body: [], task: `list the RDMA devices of ${where}` },
              message.parseDevice,
            ),
          ),
        [],
      ),
    ports: (device) =>
      ask(({ dump }) => {
        const task = `list the ports of RDMA device ${device} in ${where}`;
        return dump(
          { type: message.RDMA_PORT_GET, body: message.deviceBody(device), task },
          message.parsePort,
        );
      }),
    rename: (device, name) =>
      change(
        message.RDMA_SET,
        message.renameBody(device, name),
        `rename RDMA device ${device} of ${where} to ${name}`,
      ),
    move(device, target) {
      const to = target.path ?? "the host's network namespace";
      const task = `move RDMA device ${device} from ${where} to ${to}`;
      try {
        change(message.RDMA_SET, message.moveBody(device, fdOf(target)), task);
      } catch (error) {
        if (!(error instanceof KernelError) || error.errno !== 'EOPNOTSUPP') throw error;
        throw new ManifoldError('unsupported-field', error.message, {
          hint: 'An RDMA device is moved only while the system is in exclusive mode ("rdma system show"), and only where its driver can take it from its users, which that of soft RoCE cannot.',
          cause: error,
        });
      }
    },
  };
}

function linux(namespace: Namespace): LinuxNamespace {
  if (namespace instanceof LinuxNamespace) return namespace;
  throw new ManifoldError('internal', 'Cannot reach a namespace that this kernel did not open');
}
