// System errors as Node throws them: an Error with errno's name in `code`.

/** True for a system error of one of these names: "ENOENT". */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => error.code === code);
}
