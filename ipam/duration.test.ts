import { expect, test } from 'vitest';
import { readDuration } from './duration.ts';

test.each([
  ['90s', 90],
  ['10m', 600],
  ['1h', 3600],
  ['1h30m', 5400],
  ['1h0m5s', 3605],
  ['0s', 0],
])('%s are %d seconds', (text, seconds) => {
  expect(readDuration(text)).toBe(seconds);
});

test.each(['', '5', '5d', '1.5h', '-5s', '5s1h', '1h ', '87601h', '99999999999s'])(
  '"%s" is no length of time',
  (text) => {
    expect(readDuration(text)).toBeUndefined();
  },
);
