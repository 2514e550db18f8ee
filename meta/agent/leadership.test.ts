import { expect, test } from 'vitest';
import { lastsMs } from './leadership.ts';

test.each([
  ['a holder that asks for less than we would', 1, 15_000],
  ['a holder that says nothing', undefined, 15_000],
  ['a holder that asks for more', 30, 30_000],
  ['a holder that asks for a year', 31_536_000, 60_000],
  ['a holder that asks for the most that fits', 2_147_483_647, 60_000],
])('%s is followed when it has been silent for long enough', (_, seconds, ms) => {
  expect(lastsMs(seconds, 15_000)).toBe(ms);
});
