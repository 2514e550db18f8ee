// What a real API server does only now and then: a watch that expires, a list that fails. The rest: test/kube.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type {
  KubeClient,
  KubeResource,
  ListOptions,
  RawObject,
  WatchEvent,
} from '../../pkg/kube/kube-client.ts';
import { KubeError } from '../../pkg/kube/kube-error.ts';
import { createLogger, silentLogger } from '../../pkg/log/logger.ts';
import { Mirror } from './mirror.ts';

const THINGS: KubeResource = { group: '', version: 'v1', plural: 'things', kind: 'Thing', namespaced: false };

const thing = (name: string, size = 1): RawObject => ({ metadata: { name, resourceVersion: '1' }, size });

type Look = {
  readonly list: readonly RawObject[] | KubeError;
  readonly events?: readonly (WatchEvent<RawObject> | KubeError)[];
};

/** Answers each list and the watch after it from a script, then nothing. */
function scripted(looks: readonly Look[]) {
  const left = [...looks];
  let events: Look['events'] = [];
  return {
    async list(_: KubeResource, { onPage }: ListOptions) {
      const look = left.shift() ?? { list: new KubeError('Unreachable', 'the script is over') };
      if (look.list instanceof KubeError) throw look.list;
      events = look.events ?? [];
      // As of a list that expired on its way and was begun again.
      onPage?.([thing('of the page that expired', 99)], true);
      for (const [index, item] of look.list.entries()) onPage?.([item], index === 0);
      if (look.list.length === 0) onPage?.([], true);
      return { resourceVersion: '1', items: [] };
    },
    async *watch(_: KubeResource, { signal }: { readonly signal?: AbortSignal }) {
      for (const event of events ?? []) {
        if (event instanceof KubeError) throw event;
        yield event;
      }
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
    },
  } as unknown as KubeClient;
}

/** Runs until what is awaited is so. */
async function follow(looks: readonly Look[], until: (mirror: Mirror<number>) => boolean) {
  const states: string[] = [];
  const mirror: Mirror<number> = new Mirror(scripted(looks), {
    resource: THINGS,
    read: ({ size }) => (typeof size === 'number' ? size : undefined),
    onChange: () => states.push([...mirror.values()].join()),
    log: silentLogger,
    backoff: { firstMs: 1, mostMs: 2 },
  });
  const stop = new AbortController();
  const running = mirror.run(stop.signal);
  while (!until(mirror)) await sleep(2);
  stop.abort();
  await running;
  return { mirror, states };
}

test('it is not synced before a whole list has come', async () => {
  const looks = [{ list: new KubeError('Unreachable', 'away') }, { list: [thing('a')] }];
  const mirror = new Mirror(scripted(looks), { resource: THINGS, read: () => 1, log: silentLogger });
  expect(mirror.synced).toBe(false);
  expect([...mirror.values()]).toEqual([]);
  const followed = await follow(looks, ({ synced }) => synced);
  expect([...followed.mirror.values()]).toEqual([1]);
});

test('it follows what is added, changed and deleted', async () => {
  const events = [
    { type: 'ADDED', object: thing('b', 2) },
    { type: 'MODIFIED', object: thing('a', 5) },
    { type: 'BOOKMARK', resourceVersion: '9' },
    { type: 'DELETED', object: thing('b', 2) },
  ] as const;
  const { states } = await follow(
    [{ list: [thing('a')], events }],
    ({ size }) => size === 1 && events.length > 0,
  );
  expect(states.join(' ')).toMatch(/^1/);
  const followed = await follow(
    [{ list: [thing('a')], events }],
    (mirror) => [...mirror.values()].join() === '5',
  );
  expect(followed.states).toEqual(['1', '1,2', '5,2', '5']);
});

test('a change of nothing that is kept is no change', async () => {
  const events = [
    { type: 'MODIFIED', object: { ...thing('a'), other: 1 } },
    { type: 'MODIFIED', object: thing('a', 3) },
  ] as const;
  const followed = await follow(
    [{ list: [thing('a')], events }],
    (mirror) => [...mirror.values()].join() === '3',
  );
  expect(followed.states).toEqual(['1', '3']);
});

test('a watch that has expired is begun anew from a list, and what went meanwhile is gone', async () => {
  const looks = [
    { list: [thing('a'), thing('b')], events: [new KubeError('Expired', 'too old')] },
    { list: [thing('b', 7)] },
  ];
  const { states } = await follow(looks, (mirror) => [...mirror.values()].join() === '7');
  expect(states).toEqual(['1,1', '7']);
});

test('while the list cannot be had, what was seen before stays, and nothing is taken for gone', async () => {
  const looks = [
    { list: [thing('a')], events: [new KubeError('Expired', 'too old')] },
    { list: new KubeError('Unreachable', 'away') },
    { list: new KubeError('Unreachable', 'away') },
    { list: [thing('a', 2)] },
  ];
  const { states } = await follow(looks, (mirror) => [...mirror.values()].join() === '2');
  expect(states).toEqual(['1', '2']);
});

test('a refusal is logged with what to do', async () => {
  const lines: string[] = [];
  const looks = [
    { list: new KubeError('Forbidden', 'Cannot list things', { hint: 'Bind the role.' }) },
    { list: [] },
  ];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const options = { resource: THINGS, read: () => 1, log, backoff: { firstMs: 1 } };
  const mirror = new Mirror(scripted(looks), options);
  const stop = new AbortController();
  const running = mirror.run(stop.signal);
  while (!mirror.synced) await sleep(2);
  stop.abort();
  await running;
  expect(lines.join('')).toContain('Bind the role.');
});
