import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { refuse, ScriptedHttp, type Step } from '../../test/kit/scripted-http.ts';
import { createLogger } from '../log/logger.ts';
import { createKubeClient, type KubeClientOptions } from './create-kube-client.ts';
import type { KubeAccess } from './kube-access.ts';
import type { KubeClient, KubeObject, KubeResource, WatchEvent } from './kube-client.ts';

const PODS: KubeResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };

const line = (type: string, name: string, resourceVersion: string) =>
  `${JSON.stringify({ type, object: { metadata: { name, resourceVersion } } })}\n`;
const bookmark = (resourceVersion: string) => line('BOOKMARK', '', resourceVersion);

/** Writes the parts one after the other, then does what the last argument says. */
const stream =
  (parts: readonly (string | Buffer)[], end: 'finish' | 'reset' | 'stay'): Step =>
  (answer) => {
    answer.writeHead(200, { 'content-type': 'application/json' });
    answer.flushHeaders();
    void writeAll(answer, parts).then(() => {
      if (end === 'finish') answer.end();
      if (end === 'reset') answer.socket?.resetAndDestroy();
    });
  };

async function writeAll(answer: ServerResponse, parts: readonly (string | Buffer)[]): Promise<void> {
  for (const part of parts) {
    await new Promise((resolve) => answer.write(part, resolve));
    // Lets the client read what has come before the next part, or a reset, comes.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const open: KubeClient[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

const access = (url: string): KubeAccess => ({
  server: url,
  source: 'a test',
  namespace: undefined,
  user: 'tester',
  origins: {},
  tls: () => ({ insecure: false }),
  token: () => undefined,
  renewToken: () => false,
});

function clientOf(url: string, options: KubeClientOptions = {}): KubeClient {
  const client = createKubeClient(access(url), { retry: { firstMs: 2, mostMs: 10 }, ...options });
  open.push(client);
  return client;
}

const told = (event: WatchEvent<KubeObject>): string =>
  event.type === 'BOOKMARK'
    ? `BOOKMARK ${event.resourceVersion}`
    : `${event.type} ${event.object.metadata.name} ${event.object.metadata.resourceVersion}`;

/** The first so many events, from resourceVersion 10 on. */
async function firstOf(client: KubeClient, count: number): Promise<string[]> {
  const controller = new AbortController();
  const events: string[] = [];
  for await (const event of client.watch(PODS, { resourceVersion: '10', signal: controller.signal })) {
    events.push(told(event));
    if (events.length === count) controller.abort();
  }
  return events;
}

test('events come in order, and bookmarks beside them', async () => {
  const parts = [
    line('ADDED', 'a', '11') + line('MODIFIED', 'a', '12'),
    bookmark('15'),
    line('DELETED', 'a', '16'),
  ];
  await using server = await ScriptedHttp.start([stream(parts, 'stay')]);
  expect(await firstOf(clientOf(server.url), 4)).toEqual([
    'ADDED a 11',
    'MODIFIED a 12',
    'BOOKMARK 15',
    'DELETED a 16',
  ]);
  expect(server.asked).toEqual(['GET /api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion=10']);
});

test.each(['finish', 'reset'] as const)(
  'after a connection that ends (%s) the next goes on from what was seen last',
  async (end) => {
    const script = [
      stream([line('ADDED', 'a', '11')], end),
      stream([bookmark('20')], end),
      stream([line('ADDED', 'b', '21')], 'stay'),
    ];
    await using server = await ScriptedHttp.start(script);
    expect(await firstOf(clientOf(server.url), 3)).toEqual(['ADDED a 11', 'BOOKMARK 20', 'ADDED b 21']);
    expect(server.asked.map((one) => /resourceVersion=(\d+)/.exec(one)?.[1])).toEqual(['10', '11', '20']);
  },
);

test('a line that was cut is not an event: the next connection brings it whole', async () => {
  const cut = line('ADDED', 'b', '12');
  const script = [stream([line('ADDED', 'a', '11'), cut.slice(0, -20)], 'finish'), stream([cut], 'stay')];
  await using server = await ScriptedHttp.start(script);
  expect(await firstOf(clientOf(server.url), 2)).toEqual(['ADDED a 11', 'ADDED b 12']);
});

test('a cut line that is whole JSON but for its newline is not an event either', async () => {
  const script = [
    stream([line('ADDED', 'a', '11').trimEnd()], 'finish'),
    stream([line('ADDED', 'b', '12')], 'stay'),
  ];
  await using server = await ScriptedHttp.start(script);
  expect(await firstOf(clientOf(server.url), 1)).toEqual(['ADDED b 12']);
});

test('characters that lie across two chunks are whole', async () => {
  const bytes = Buffer.from(line('ADDED', 'größe', '11'));
  const middle = bytes.indexOf(0xc3) + 1;
  await using server = await ScriptedHttp.start([
    stream([bytes.subarray(0, middle), bytes.subarray(middle)], 'stay'),
  ]);
  expect(await firstOf(clientOf(server.url), 1)).toEqual(['ADDED größe 11']);
});

test.each([
  ['an answer', refuse(410, 'Expired')],
  [
    'an event',
    stream(
      [`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`],
      'finish',
    ),
  ],
  ['a bookmark of an etcd that was put back', stream([bookmark('9')], 'stay')],
] as [string, Step][])('a resourceVersion that is too old ends the watch: told by %s', async (_, step) => {
  await using server = await ScriptedHttp.start([step]);
  await expect(firstOf(clientOf(server.url), 1)).rejects.toMatchObject({ reason: 'Expired', status: 410 });
  expect(server.seen).toHaveLength(1);
});

test('a right that is missing ends the watch', async () => {
  await using server = await ScriptedHttp.start([refuse(403, 'Forbidden')]);
  await expect(firstOf(clientOf(server.url), 1)).rejects.toMatchObject({ reason: 'Forbidden' });
});

test.each([
  ['429', refuse(429, 'TooManyRequests')],
  ['500', refuse(500, 'InternalError')],
  [
    'an event of another error',
    stream(
      [
        JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 500, reason: 'InternalError' } }) +
          '\n',
      ],
      'finish',
    ),
  ],
  ['an end without events', stream([], 'finish')],
  ['a line that is no JSON', stream(['oops\n'], 'stay')],
] as [string, Step][])('the watch goes on after %s', async (_, step) => {
  await using server = await ScriptedHttp.start([step, step, stream([line('ADDED', 'a', '11')], 'stay')]);
  expect(await firstOf(clientOf(server.url), 1)).toEqual(['ADDED a 11']);
  expect(server.seen).toHaveLength(3);
});

test('a connection on which nothing comes is given up for another, and the log says so once', async () => {
  const lines: string[] = [];
  const log = createLogger({ sink: (text) => lines.push(text) });
  const silent = stream([], 'stay');
  await using server = await ScriptedHttp.start([
    silent,
    silent,
    silent,
    stream([line('ADDED', 'a', '11')], 'stay'),
  ]);
  expect(await firstOf(clientOf(server.url, { silenceMs: 40, log }), 1)).toEqual(['ADDED a 11']);
  expect(lines.map((text) => (JSON.parse(text) as { event: string }).event)).toEqual([
    'watch broke off, and is tried again',
    'watch goes on',
  ]);
});

test('time that the caller takes over an event is no silence of the server', async () => {
  let connection: ServerResponse | undefined;
  const step: Step = (answer, seen) => {
    connection ??= answer;
    stream([line('ADDED', 'a', '11') + line('ADDED', 'b', '12')], 'stay')(answer, seen);
  };
  await using server = await ScriptedHttp.start([step]);
  const controller = new AbortController();
  const events: string[] = [];
  const client = clientOf(server.url, { silenceMs: 50 });
  for await (const event of client.watch(PODS, { resourceVersion: '10', signal: controller.signal })) {
    events.push(told(event));
    if (events.length === 3) controller.abort();
    await new Promise((resolve) => setTimeout(resolve, 120));
    // Comes over the first connection, if that is still there.
    if (events.length === 1) connection?.write(line('ADDED', 'c', '13'));
  }
  expect(events).toEqual(['ADDED a 11', 'ADDED b 12', 'ADDED c 13']);
  expect(server.seen).toHaveLength(1);
});

test('the signal ends a watch that waits', async () => {
  await using server = await ScriptedHttp.start([stream([], 'stay')]);
  const signal = AbortSignal.timeout(60);
  const events: unknown[] = [];
  for await (const event of clientOf(server.url).watch(PODS, { resourceVersion: '10', signal }))
    events.push(event);
  expect(events).toEqual([]);
});

test('the signal ends a watch whose server is away', async () => {
  let url = '';
  {
    await using server = await ScriptedHttp.start([stream([], 'stay')]);
    url = server.url;
  }
  const signal = AbortSignal.timeout(60);
  for await (const _ of clientOf(url).watch(PODS, { resourceVersion: '10', signal }))
    throw new Error('an event');
  expect(signal.aborted).toBe(true);
});

test('leaving the loop ends the connection', async () => {
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const step: Step = (answer, seen) => {
    answer.once('close', () => closed());
    stream([line('ADDED', 'a', '11')], 'stay')(answer, seen);
  };
  await using server = await ScriptedHttp.start([step]);
  for await (const _ of clientOf(server.url).watch(PODS, { resourceVersion: '10' })) break;
  await gone;
  expect(server.seen).toHaveLength(1);
});

test('watches hold no connection that calls wait for', async () => {
  const steps: Step[] = [
    stream([], 'stay'),
    stream([], 'stay'),
    (answer) => void answer.end('{"metadata":{"name":"a"}}'),
  ];
  await using server = await ScriptedHttp.start(steps);
  const client = clientOf(server.url, { connections: 1 });
  const controller = new AbortController();
  const watches = [1, 2].map(async () => {
    for await (const _ of client.watch(PODS, { resourceVersion: '10', signal: controller.signal }));
  });
  while (server.seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await client.get(PODS, 'a', { namespace: 'n' })).toMatchObject({ metadata: { name: 'a' } });
  controller.abort();
  await Promise.all(watches);
});
