// Request and reply over a netlink transport: acknowledgements, extended error texts, dumps and their repetition.
// Knows no socket and no message family, so that tests can answer in the kernel's place.
import { formatMessage, type NetlinkMessage, parseMessages } from 'netlink/dist/structs.js';
import { ManifoldError } from '../errors/manifold-error.ts';
import { readAttributes, textOf } from './attributes.ts';
import { kernelError } from './kernel-error.ts';

/** What is being done, for errors: "list the links of /run/netns/a". A function is called only when it failed. */
export type Task = string | (() => string);

export function taskText(task: Task): string {
  return typeof task === 'string' ? task : task();
}

/** Carries whole datagrams. A received buffer may be overwritten by the next receive(). */
export interface Transport {
  send(datagram: Uint8Array, task: Task): void;
  receive(task: Task): Buffer;
}

export interface Request {
  readonly type: number;
  /** NLM_F_* beyond REQUEST, ACK and DUMP. */
  readonly flags?: number;
  /** Family header and attributes. */
  readonly body: readonly Uint8Array[];
  readonly task: Task;
}

export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_DUMP = 0x300;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
const NLMSG_MIN_TYPE = 16;
const DUMP_ATTEMPTS = 10;

export interface Exchange {
  /** One change, acknowledged. @throws KernelError */
  change(request: Request): void;
  /** One request with one answer. @throws KernelError */
  get<T>(request: Request, parse: (payload: Buffer) => T): T;
  /**
   * All objects that the kernel lists; `parse` returns undefined for those to leave out.
   * A dump that the kernel marks as interrupted by a change is repeated.
   * @throws ManifoldError 'try-later' when every attempt was interrupted; KernelError
   */
  dump<T>(request: Request, parse: (payload: Buffer) => T | undefined): T[];
}

export function createExchange(transport: Transport): Exchange {
  let lastSeq = 0;

  /** Sends, then feeds the replies to this request to `take` until it returns true. */
  const run = (request: Request, flags: number, take: (message: NetlinkMessage) => boolean): void => {
    lastSeq = (lastSeq + 1) >>> 0;
    const seq = lastSeq;
    const parts = formatMessage({
      type: request.type,
      flags: NLM_F_REQUEST | flags | (request.flags ?? 0),
      seq,
      port: 0,
      data: [...request.body],
    });
    transport.send(Buffer.concat(parts), request.task);
    for (;;) {
      for (const message of parseMessages(transport.receive(request.task))) {
        // A request that was given up may be answered late: its number is an older one.
        if (message.seq === seq && take(message)) return;
      }
    }
  };

  const change = (request: Request): void => {
    run(request, NLM_F_ACK, (message) => {
      if (message.type !== NLMSG_ERROR) return false;
      throwIfRefused(message, request.task);
      return true;
    });
  };

  const get = <T>(request: Request, parse: (payload: Buffer) => T): T => {
    const answers: T[] = [];
    // Not NLM_F_ACK: the answer is acknowledgement enough, and a refusal comes without being asked for.
    run(request, 0, (message) => {
      if (message.type === NLMSG_ERROR) throwIfRefused(message, request.task);
      if (message.type < NLMSG_MIN_TYPE) return false;
      answers.push(parse(message.data));
      return true;
    });
    const [answer] = answers;
    if (answer === undefined) throw kernelError(taskText(request.task), 0);
    return answer;
  };

  const dumpOnce = <T>(request: Request, parse: (payload: Buffer) => T | undefined): T[] | undefined => {
    const found: T[] = [];
    let interrupted = false;
    let failure: { readonly error: unknown } | undefined;
    run(request, NLM_F_DUMP, (message) => {
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
      if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
        throwIfRefused(message, request.task);
        return true;
      }
      if (message.type < NLMSG_MIN_TYPE || failure !== undefined) return false;
      try {
        const object = parse(message.data);
        if (object !== undefined) found.push(object);
      } catch (error) {
        // The rest must still be read: a socket with a dump under way refuses the next one with EBUSY.
        failure = { error };
      }
      return false;
    });
    if (failure !== undefined) throw failure.error;
    return interrupted ? undefined : found;
  };

  const dump = <T>(request: Request, parse: (payload: Buffer) => T | undefined): T[] => {
    for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt += 1) {
      const found = dumpOnce(request, parse);
      if (found !== undefined) return found;
    }
    throw new ManifoldError(
      'try-later',
      `Cannot ${taskText(request.task)}: it changed during each of ${DUMP_ATTEMPTS} attempts to read it`,
      { hint: 'Many links come and go on this node at the moment; try again.' },
    );
  };

  return { change, get, dump };
}

/** Reads errno and the extended acknowledgement of NLMSG_ERROR or of an NLMSG_DONE that carries them. */
function throwIfRefused(message: NetlinkMessage, task: Task): void {
  const { type, flags, data } = message;
  const errno = data.length >= 4 ? -data.readInt32LE(0) : 0;
  if (errno <= 0) return;
  let offset = 4;
  if (type === NLMSG_ERROR) {
    // The refused request follows: its header alone when capped, else as a whole.
    const echoed = data.readUInt32LE(4);
    offset += (flags & NLM_F_CAPPED) === 0 ? (echoed + 3) & ~3 : 16;
  }
  const said =
    (flags & NLM_F_ACK_TLVS) === 0
      ? undefined
      : textOf(readAttributes(data.subarray(offset)), NLMSGERR_ATTR_MSG);
  // Last, as describing the task may ask the kernel for a name and so overwrite `data`.
  throw kernelError(taskText(task), errno, said);
}
