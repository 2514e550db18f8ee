/** A command that cannot be understood: exit code 2, and help is named. */
export class UsageError extends Error {}
