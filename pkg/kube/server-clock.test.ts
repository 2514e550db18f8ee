import { array, assert, integer, property, record, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { createServerClock } from './server-clock.ts';

const headerOf = (time: number) => new Date(Math.floor(time / 1000) * 1000).toUTCString();

test('before an answer it is the own clock', () => {
  expect(
    createServerClock(
      () => 42,
      () => 7,
    ).now(),
  ).toBe(42);
});

test('it is never further from the clock of the server than half of what was left open', () => {
  const answer = record({
    pauseMs: integer({ min: 0, max: 5000 }),
    there: integer({ min: 0, max: 300 }),
    back: integer({ min: 0, max: 300 }),
  });
  const law = property(
    tuple(integer({ min: -4e12, max: 4e12 }), array(answer, { minLength: 1, maxLength: 12 })),
    ([offset, answers]) => {
      let monotonic = 5;
      const clock = createServerClock(
        () => 0,
        () => monotonic,
      );
      const start = Date.parse('2026-11-25T00:00:00Z') + (offset % 1e9);
      let slowest = 0;
      for (const { pauseMs, there, back } of answers) {
        monotonic += pauseMs;
        const sentAt = monotonic;
        monotonic += there;
        const date = headerOf(start + monotonic);
        monotonic += back;
        clock.observe(date, sentAt, monotonic);
        slowest = Math.max(slowest, there + back);
        expect(Math.abs(clock.now() - (start + monotonic))).toBeLessThanOrEqual((1000 + slowest) / 2 + 1);
      }
    },
  );
  void assert(law);
});

test('several answers within a second tell it better than one', () => {
  let monotonic = 0;
  const clock = createServerClock(
    () => 0,
    () => monotonic,
  );
  const start = Date.parse('2026-11-25T00:00:00.800Z');
  for (const at of [0, 150, 190, 210]) {
    monotonic = at;
    clock.observe(headerOf(start + at), at, at);
  }
  expect(Math.abs(clock.now() - (start + monotonic))).toBeLessThanOrEqual(10);
});

test('a clock of the server that was set is followed', () => {
  let monotonic = 0;
  const clock = createServerClock(
    () => 0,
    () => monotonic,
  );
  clock.observe('Wed, 25 Nov 2026 10:00:00 GMT', 0, 0);
  monotonic = 1000;
  clock.observe('Wed, 25 Nov 2026 12:00:00 GMT', 1000, 1000);
  expect(clock.now()).toBe(Date.parse('2026-11-25T12:00:00.500Z'));
});

test.each([undefined, 'yesterday', ''])('a header that says nothing (%s) changes nothing', (date) => {
  const clock = createServerClock(
    () => 42,
    () => 0,
  );
  clock.observe(date, 0, 0);
  expect(clock.now()).toBe(42);
});
