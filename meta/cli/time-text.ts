// Times for people: how long something has been so, in one or two units, as kubectl says it.

const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
  [1, 's'],
] as const;

/** "12s", "5m", "3h20m", "12d". */
export function durationText(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const at = Math.max(
    0,
    UNITS.findIndex(([size]) => seconds >= size),
  );
  const [size, unit] = seconds === 0 ? UNITS[3] : (UNITS[at] ?? UNITS[3]);
  const whole = Math.floor(seconds / size);
  const next = UNITS[at + 1];
  // The smaller unit counts only beside a small number: "3h20m", but "12d".
  const rest = next === undefined || whole >= 10 ? 0 : Math.floor((seconds % size) / next[0]);
  return rest === 0 || next === undefined ? `${whole}${unit}` : `${whole}${unit}${rest}${next[1]}`;
}

/** How long ago, or "-" for what is no time. @param text RFC 3339 */
export function ageText(text: string | undefined, now: number): string {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? '-' : durationText(now - time);
}
