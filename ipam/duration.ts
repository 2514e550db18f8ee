// Lengths of time as configurations write them: "90s", "10m", "1h30m".
import * as v from 'valibot';

/** More is a mistake: ten years. */
const MOST_SECONDS = 315_360_000;

const RULE = 'must be a length of time such as "90s", "10m" or "1h30m"';

/** Seconds; undefined when it is none, or longer than ten years. "0s" is none at all. */
export function readDuration(text: string): number | undefined {
  const parts = /^(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?$/.exec(text);
  if (parts === null || text === '') return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = parts;
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return total <= MOST_SECONDS ? total : undefined;
}

/** A key that may be left out. */
export const duration = () =>
  v.optional(
    v.pipe(
      v.string(RULE),
      v.check((text) => readDuration(text) !== undefined, RULE),
    ),
  );
