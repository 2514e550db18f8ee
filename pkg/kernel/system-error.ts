// Errors of Node's own file functions: errno's name stands in `code`.

/** True for an error of a system call, of one of these names ("ENOENT") where names are given. */
export function isSystemError(
  error: unknown,
  ...names: string[]
): error is Error & { readonly code: unknown } {
  if (!(error instanceof Error && 'code' in error)) return false;
  return names.length === 0 || names.some((name) => error.code === name);
}
