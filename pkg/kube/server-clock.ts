// The clock of the API server, as the Date headers of its answers tell it.

export interface ServerClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** @param sentAt,gotAt of the request and of the head of its answer, in milliseconds of the monotonic clock */
  observe(date: string | undefined, sentAt: number, gotAt: number): void;
}

/** After so long what was learnt is forgotten when a new answer comes: the two clocks drift, and are set. */
const MEMORY_MS = 60_000;

/**
 * A Date header is cut to the second (RFC 9110, 5.6.7): the server's time lay within that second at some moment
 * between request and answer. Several answers narrow that down.
 */
export function createServerClock(wall: () => number, monotonic: () => number): ServerClock {
  let known: { readonly least: number; readonly most: number; readonly since: number } | undefined;
  return {
    now: () => (known === undefined ? wall() : Math.round(monotonic() + (known.least + known.most) / 2)),
    observe(date, sentAt, gotAt) {
      const second = date === undefined ? Number.NaN : Date.parse(date);
      if (Number.isNaN(second)) return;
      const [least, most] = [second - gotAt, second + 1000 - sentAt];
      const fits =
        known !== undefined && gotAt - known.since < MEMORY_MS && least <= known.most && most >= known.least;
      known =
        fits && known !== undefined
          ? { least: Math.max(least, known.least), most: Math.min(most, known.most), since: known.since }
          : { least, most, since: gotAt };
    },
  };
}
