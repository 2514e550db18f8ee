// What guest and host say to each other: one JSON object a line.

/** What the host leaves for the guest in the shared directory. */
export const SELECTION_FILE = 'selection.json';
export const BUNDLE_FILE = 'cases.cjs';

/** What a case may be told from outside: `ROUNDS`, `SEED`. */
export type VmSettings = Readonly<Record<string, string>>;

export interface Selection {
  /** Ids of the cases to run, in any order. */
  readonly ids: readonly string[];
  readonly settings: VmSettings;
}

export interface CaseFailure {
  readonly message: string;
  readonly stack: string;
}

export type GuestEvent =
  | { readonly event: 'ready' }
  | { readonly event: 'start'; readonly id: string; readonly limitMs: number }
  | {
      readonly event: 'end';
      readonly id: string;
      readonly ms: number;
      readonly failure?: CaseFailure;
      readonly log: readonly string[];
      /** Shown whether it failed or not. */
      readonly told: readonly string[];
      /** The kernel's messages in that time: "[   12.345678] igb 0000:01:00.0: …". */
      readonly kernel: readonly string[];
    }
  /** The guest gave up before or between cases. */
  | { readonly event: 'failed'; readonly failure: CaseFailure; readonly kernel: readonly string[] }
  | { readonly event: 'done' }
  /** Said by the init script when Node is over. */
  | { readonly event: 'exit'; readonly code: number };

export type EndOfCase = Extract<GuestEvent, { event: 'end' }>;

/** @throws Error for a line that no guest of ours writes */
export function parseEvent(line: string): GuestEvent {
  const value: unknown = JSON.parse(line);
  if (typeof value === 'object' && value !== null && 'event' in value) return value as GuestEvent;
  throw new Error(`Cannot read what the guest said: no event (${line})`);
}
