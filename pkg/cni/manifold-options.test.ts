import { safeParse } from 'valibot';
import { expect, test } from 'vitest';
import { manifoldOptions } from './manifold-options.ts';

test.each(['n1', 'w1.example.com', '10-1-2-3', `${'a.'.repeat(126)}a`])(
  '%s can be the name of a node',
  (name) => {
    expect(safeParse(manifoldOptions, { nodeName: name }).success).toBe(true);
  },
);

test.each([
  '',
  'Worker-1',
  'worker_1',
  'w1!',
  'w 1',
  '-w1',
  'w1-',
  'w1.',
  '.w1',
  'w1..b',
  'w1\n',
  '../w1',
  `${'a.'.repeat(127)}aa`,
  5,
])('%j cannot be the name of a node', (name) => {
  const { issues } = safeParse(manifoldOptions, { nodeName: name });
  expect(issues).toEqual([
    expect.objectContaining({
      path: [expect.objectContaining({ key: 'nodeName' })],
      message: expect.stringContaining('must be a name that a Node can have'),
    }),
  ]);
});
