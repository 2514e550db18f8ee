// The RDMA side of a kernel with devices that can be moved, which no emulated hardware has: answers NETLINK_RDMA
// messages by the rules of drivers/infiniband/core (device.c, nldev.c).
import { fstatSync } from 'node:fs';
import { formatMessage, parseMessages } from 'netlink/dist/structs.js';
import { attribute, readAttributes, string, textOf, u32, u32Of } from '../../pkg/kernel/attributes.ts';
import { createExchange, type Exchange } from '../../pkg/kernel/exchange.ts';
import type { Namespace } from '../../pkg/kernel/kernel.ts';
import { createRdma } from '../../pkg/kernel/linux-rdma.ts';
import type { OpenRdma, RdmaMode } from '../../pkg/kernel/rdma.ts';
import { RDMA_GET, RDMA_PORT_GET, RDMA_SET, RDMA_SYS_GET } from '../../pkg/kernel/rdma-message.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_MULTI = 2;
const EEXIST = 17;
const EINVAL = 22;
const EOPNOTSUPP = 95;

export interface FakeRdmaDevice {
  readonly index: number;
  name: string;
  /** Namespace.id. */
  place: string;
  /** The driver cannot take it from its users, as that of soft RoCE. */
  readonly fixed?: boolean;
  /** Index of the interface of its one port. */
  readonly netdev?: number;
}

interface Answer {
  readonly type: number;
  readonly body: readonly Uint8Array[];
}

export class RdmaKernel {
  mode: RdmaMode = 'exclusive';
  readonly devices: FakeRdmaDevice[] = [];
  /** Each request as "<type> <payload>", in hexadecimal. */
  readonly requests: string[] = [];

  readonly open: OpenRdma = (namespace) =>
    createRdma((ask) => ask(this.#exchange(namespace.id)), namespace.path ?? 'the host', fdOf);

  /** Called before each request. */
  before: () => void = () => undefined;

  /** What the kernel does when a namespace dies. */
  namespaceGone(id: string, first: string): void {
    for (const device of this.devices) if (device.place === id) device.place = first;
  }

  #exchange(place: string): Exchange {
    const waiting: Buffer[] = [];
    return createExchange({
      send: (datagram) => {
        const [request] = [...parseMessages(Buffer.from(datagram))];
        if (request === undefined) throw new Error('no message');
        this.before();
        const { type, seq, data } = request;
        this.requests.push(`${type.toString(16)} ${data.toString('hex')}`);
        const answers = this.#answer(place, type, data);
        const parts = answers.map((answer) =>
          Buffer.concat(
            formatMessage({ type: answer.type, flags: NLM_F_MULTI, seq, port: 1, data: [...answer.body] }),
          ),
        );
        waiting.push(Buffer.concat(parts));
      },
      receive: () => {
        const next = waiting.shift();
        if (next === undefined) throw new Error('read more than the kernel sent');
        return next;
      },
    });
  }

  #answer(place: string, type: number, data: Buffer): Answer[] {
    const asked = readAttributes(data);
    const seen = this.devices.filter((device) => this.mode === 'shared' || device.place === place);
    const one = seen.find(({ index }) => index === u32Of(asked, 1));
    if (type === RDMA_SYS_GET)
      return [{ type, body: [attribute(66, Buffer.of(this.mode === 'shared' ? 1 : 0))] }];
    if (type === RDMA_GET) return [...seen.map((device) => ({ type, body: describe(device) })), done()];
    if (one === undefined) return [status(EINVAL)];
    if (type === RDMA_PORT_GET) return [{ type, body: port(one) }, done()];
    if (type !== RDMA_SET) return [status(EINVAL)];
    const name = textOf(asked, 2);
    if (name !== undefined) {
      if (this.devices.some((device) => device.name === name)) return [status(EEXIST)];
      one.name = name;
      return [status(0)];
    }
    if (this.mode === 'shared' || one.fixed) return [status(EOPNOTSUPP)];
    one.place = placeOf(u32Of(asked, 68) ?? -1);
    return [status(0)];
  }
}

const describe = ({ index, name }: FakeRdmaDevice) => [
  u32(1, index),
  string(2, name),
  u32(3, 1),
  attribute(6, Buffer.alloc(8, index)),
  string(67, 'roce'),
];

const port = ({ index, netdev }: FakeRdmaDevice) => [
  u32(1, index),
  u32(3, 1),
  ...(netdev === undefined ? [] : [u32(50, netdev), string(51, 'eth')]),
];

/** NLMSG_ERROR with the refused header. */
function status(errno: number): Answer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno);
  body.writeUInt32LE(16, 4);
  return { type: NLMSG_ERROR, body: [body] };
}

const done = (): Answer => ({ type: NLMSG_DONE, body: [Buffer.alloc(4)] });

/** As the kernel does: by the descriptor of this process. */
function placeOf(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${dev}:${ino}`;
}

function fdOf(target: Namespace): number {
  if ('fd' in target && typeof target.fd === 'number') return target.fd;
  throw new Error('no descriptor');
}
