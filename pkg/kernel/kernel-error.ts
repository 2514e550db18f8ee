// What the kernel refused: errno's name, the object and the kernel's own words, as one error.
import { getSystemErrorName } from 'node:util';
import { type ErrorCode, ManifoldError } from '../errors/manifold-error.ts';

/** A ManifoldError that also has errno by name ("EBUSY"), for callers that tell refusals apart. */
export class KernelError extends ManifoldError {
  readonly errno: string;

  constructor(code: ErrorCode, message: string, errno: string, hint?: string) {
    super(code, message, hint === undefined ? {} : { hint });
    this.errno = errno;
  }
}

/** True for a refusal of the kernel with one of these errno names. */
export function isErrno(error: unknown, ...names: string[]): error is KernelError {
  return error instanceof KernelError && names.includes(error.errno);
}

/** The name of an errno number: "EINVAL"; "errno 999" where nobody knows one. */
export function errnoName(errno: number): string {
  // 95 has two names and libuv picks the other one; 524 never leaves the kernel by its own rules, yet it does.
  if (errno === 95) return 'EOPNOTSUPP';
  if (errno === 524) return 'ENOTSUPP';
  const name = getSystemErrorName(-errno);
  return name.startsWith('Unknown') ? `errno ${errno}` : name;
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENODEV: 'not-found',
  EEXIST: 'exists',
  EAGAIN: 'try-later',
  ENOBUFS: 'try-later',
};

const HINTS: Readonly<Record<string, string>> = {
  EPERM: 'Run as root with CAP_NET_ADMIN (and CAP_SYS_ADMIN to enter network namespaces).',
  EOPNOTSUPP: 'The driver or this kernel does not support it.',
  ENOTSUPP: 'The driver or this kernel does not support it.',
  EAGAIN: 'The kernel is busy; try again.',
  ENOBUFS: 'The kernel is out of buffers; try again.',
};

/**
 * @param task what was tried: "create macvlan net1 over eth0 in /run/netns/a"
 * @param said the extended acknowledgement, where the kernel gave one
 */
export function kernelError(task: string, errno: number, said?: string): KernelError {
  const name = errnoName(errno);
  const reason = said === undefined || said === '' ? name : `${name}: ${said}`;
  return new KernelError(CODES[name] ?? 'kernel', `Cannot ${task}: ${reason}`, name, HINTS[name]);
}
