import { expect, test } from 'vitest';
import { jsonLines } from './json-text.ts';
import { ageText, durationText } from './time-text.ts';

test.each([
  [0, '0s'],
  [999, '0s'],
  [12_000, '12s'],
  [61_000, '1m1s'],
  [600_000, '10m'],
  [3_600_000, '1h'],
  [12_000_000, '3h20m'],
  [86_400_000 * 12 + 5, '12d'],
  [-5, '0s'],
])('%d ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

test('what is no time has no age', () => {
  expect(ageText(undefined, 0)).toBe('-');
  expect(ageText('yesterday', 0)).toBe('-');
  expect(ageText('1970-01-01T00:00:10.000Z', 25_000)).toBe('15s');
});

test('JSON stays JSON whatever a name holds, and steers no terminal', () => {
  const value = { name: '\u001b[2J\u202e\u{e0001}\u009b x' };
  const text = jsonLines(value).join('');
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(text)).toEqual(value);
});
