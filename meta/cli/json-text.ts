/** JSON for scripts, in lines; what would steer a terminal is escaped as JSON has it. */
export function jsonLines(value: unknown): string[] {
  const escaped = (character: string) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join('');
  return JSON.stringify(value, undefined, 2)
    .split('\n')
    .map((line) => line.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped));
}
