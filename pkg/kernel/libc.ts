// The C library through node:ffi: the few system calls that Node has no function for. Looked up at the first call.
import { dlopen, getInt32 } from 'node:ffi';

/** Each function is the system call of its name; -1 means that `errno()` tells the reason. */
function open() {
  // Null is the process itself, which has its C library loaded: no file is looked for, whatever that library is.
  const { functions } = dlopen(null, {
    setns: { arguments: ['int32', 'int32'], return: 'int32' },
    // The kernel's third argument is a long; declared fixed, it lies where a variadic callee looks for it.
    ioctl: { arguments: ['int32', 'uint64', 'int64'], return: 'int32' },
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    setsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'uint32'], return: 'int32' },
    send: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
    recv: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
    sendto: { arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'], return: 'int64' },
    close: { arguments: ['int32'], return: 'int32' },
    flock: { arguments: ['int32', 'int32'], return: 'int32' },
    _exit: { arguments: ['int32'], return: 'void' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  const location = functions.__errno_location();
  return {
    ...functions,
    /** The calling thread's errno. To be read right after the call that failed. */
    errno: (): number => getInt32(location),
  };
}

export type Libc = ReturnType<typeof open>;

let opened: Libc | undefined;

/** The C library, with the errno of this thread. */
export function libc(): Libc {
  opened ??= open();
  return opened;
}
