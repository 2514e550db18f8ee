// Starts processes and tells exactly what each cost: Node's own child_process reports no CPU time and no memory.
// By node:ffi: posix_spawn(3) and wait4(2) for time, ptrace(2) to look at a process that is about to end.
import { dlopen, getRawPointer } from 'node:ffi';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hrtime } from 'node:process';

export interface Command {
  /** The program's path, then its arguments. */
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

export interface Cost {
  readonly wallMs: number;
  /** User and system time of the process and of all that it waited for. */
  readonly cpuMs: number;
}

const O_WRITE = 0o1101; // O_WRONLY | O_CREAT | O_TRUNC
const PTRACE = { cont: 7, detach: 17, seize: 0x4206, traceExit: 0x40 } as const;
const WALL = 0x40000000; // __WALL

const { functions: libc } = dlopen('libc.so.6', {
  posix_spawn: { arguments: ['buffer', 'string', 'buffer', 'pointer', 'buffer', 'buffer'], return: 'int32' },
  posix_spawn_file_actions_init: { arguments: ['buffer'], return: 'int32' },
  posix_spawn_file_actions_destroy: { arguments: ['buffer'], return: 'int32' },
  posix_spawn_file_actions_addopen: {
    arguments: ['buffer', 'int32', 'string', 'int32', 'uint32'],
    return: 'int32',
  },
  wait4: { arguments: ['int32', 'buffer', 'int32', 'buffer'], return: 'int32' },
  ptrace: { arguments: ['int64', 'int32', 'int64', 'int64'], return: 'int64' },
});

const directory = mkdtempSync(join(tmpdir(), 'manifold-bench-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
let started = 0;

interface Started {
  readonly pid: number;
  readonly at: bigint;
  readonly command: Command;
  readonly output: string;
}

/** A null-terminated array of C strings; the second buffer must live as long as the first. */
function strings(values: readonly string[]): { array: Buffer; text: Buffer } {
  const text = Buffer.from(`${values.join('\0')}\0`);
  const array = Buffer.alloc((values.length + 1) * 8);
  let at = getRawPointer(text);
  for (const [index, value] of values.entries()) {
    array.writeBigUInt64LE(at, index * 8);
    at += BigInt(Buffer.byteLength(value) + 1);
  }
  return { array, text };
}

function start(command: Command): Started {
  started += 1;
  const name = join(directory, String(started));
  writeFileSync(`${name}.in`, command.stdin);
  const argv = strings(command.words);
  const envp = strings(Object.entries(command.env).map(([key, value]) => `${key}=${value}`));
  const actions = Buffer.alloc(128);
  libc.posix_spawn_file_actions_init(actions);
  libc.posix_spawn_file_actions_addopen(actions, 0, `${name}.in`, 0, 0);
  libc.posix_spawn_file_actions_addopen(actions, 1, `${name}.out`, O_WRITE, 0o644);
  libc.posix_spawn_file_actions_addopen(actions, 2, `${name}.err`, O_WRITE, 0o644);
  const pid = Buffer.alloc(4);
  const at = hrtime.bigint();
  const failed = libc.posix_spawn(pid, command.words[0] ?? '', actions, 0n, argv.array, envp.array);
  libc.posix_spawn_file_actions_destroy(actions);
  if (failed !== 0) throw new Error(`Cannot start ${command.words.join(' ')}: errno ${failed}`);
  return { pid: pid.readInt32LE(), at, command, output: name };
}

/** Of a process that has ended. */
export interface Ended {
  readonly cost: Cost;
  /** As wait(2) tells it: 0 is good. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function end(child: Started): Ended {
  const status = Buffer.alloc(4);
  const usage = Buffer.alloc(144);
  libc.wait4(child.pid, status, WALL, usage);
  const wallMs = Number(hrtime.bigint() - child.at) / 1e6;
  const ms = (at: number) =>
    Number(usage.readBigInt64LE(at)) * 1000 + Number(usage.readBigInt64LE(at + 8)) / 1000;
  const read = (kind: string) => readFileSync(`${child.output}.${kind}`, 'utf8');
  const ended = { status: status.readInt32LE(), stdout: read('out'), stderr: read('err') };
  for (const kind of ['in', 'out', 'err']) rmSync(`${child.output}.${kind}`);
  return { ...ended, cost: { wallMs, cpuMs: ms(0) + ms(16) } };
}

/** Waits for the end. @throws Error with all that it printed, unless it ended with 0 */
function finish(child: Started): Cost {
  const { status, cost, stdout, stderr } = end(child);
  if (status === 0) return cost;
  const { words, env } = child.command;
  throw new Error(
    `${words.join(' ')} (${env.CNI_COMMAND}) ended with status 0x${status.toString(16)}: ${stdout} ${stderr}`,
  );
}

export const run = (command: Command): Cost => finish(start(command));

/** All at once, whatever comes of them. The wall time of each but the last may be that of one before it. */
export function runTogether(commands: readonly Command[]): Ended[] {
  return commands.map(start).map(end);
}

/** Megabytes. */
export interface Memory {
  /** VmHWM: the most that was resident at once, pages shared with others included. */
  readonly peak: number;
  /** What is its own and in no file: heap, stacks, and the libraries that the executable unpacks into memory. */
  readonly own: number;
  /** Its fair share: shared pages divided by their users. The sum over all processes is what they cost together. */
  readonly share: number;
}

/** Runs the commands at once, holds each as it is about to end until all are there, and reads what they hold. */
export function measureMemory(commands: readonly Command[]): Memory[] {
  const children = commands.map((command) => {
    const child = start(command);
    if (libc.ptrace(BigInt(PTRACE.seize), child.pid, 0n, BigInt(PTRACE.traceExit)) !== 0n)
      throw new Error(`Cannot trace ${command.words[0]}: it ended too soon, or ptrace is forbidden here`);
    return child;
  });
  for (const child of children) waitForExitEvent(child.pid);
  const memories = children.map(({ pid }) => readMemory(pid));
  for (const { pid } of children) libc.ptrace(BigInt(PTRACE.detach), pid, 0n, 0n);
  for (const child of children) finish(child);
  return memories;
}

/** Lets it run on through signals until the stop that PTRACE_O_TRACEEXIT makes. */
function waitForExitEvent(pid: number): void {
  const status = Buffer.alloc(4);
  for (;;) {
    libc.wait4(pid, status, WALL, Buffer.alloc(144));
    const value = status.readInt32LE();
    if ((value & 0xff) !== 0x7f) throw new Error(`Cannot measure process ${pid}: it ended unseen`);
    if (value >> 16 === 6) return; // PTRACE_EVENT_EXIT
    const signal = value >> 16 === 0 ? (value >> 8) & 0xff : 0;
    libc.ptrace(BigInt(PTRACE.cont), pid, 0n, BigInt(signal));
  }
}

function readMemory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (text: string, key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  return {
    peak: megabytes(status, 'VmHWM'),
    own: megabytes(rollup, 'Pss_Anon') + megabytes(rollup, 'Pss_Shmem'),
    share: megabytes(rollup, 'Pss'),
  };
}
