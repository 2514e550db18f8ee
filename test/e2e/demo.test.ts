// make demo, as a newcomer runs it: it ends well, again and again, and leaves nothing when it is interrupted.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ip, NODE } from '../kit/test-node.ts';

interface DemoRun {
  readonly pid: number;
  readonly code: number | null;
  readonly output: string;
}

/** @param interrupt sends SIGINT when the output so far matches */
function demo(interrupt?: RegExp): Promise<DemoRun> {
  const [node = '', ...flags] = NODE;
  return new Promise((resolve, reject) => {
    const child = spawn(node, [...flags, join(import.meta.dirname, '../demo/main.ts')]);
    let output = '';
    let sent = false;
    const take = (text: string) => {
      output += text;
      if (interrupt === undefined || sent || !interrupt.test(output)) return;
      sent = true;
      child.kill('SIGINT');
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => resolve({ pid: child.pid ?? 0, code, output }));
  });
}

function expectNothingLeft({ pid, output }: DemoRun): void {
  expect(ip('netns', 'list')).not.toContain(`manifold-demo-${pid}`);
  const directory = /store: The state in (\S+)\/state/.exec(output)?.[1];
  if (directory !== undefined)
    expect(readdirSync(tmpdir()).map((name) => join(tmpdir(), name))).not.toContain(directory);
}

test('the demo plugs two pods into three networks each, pings over all of them, and takes it all down, twice', async () => {
  for (let time = 0; time < 2; time++) {
    const run = await demo();
    expect(run.code, run.output).toBe(0);
    for (const pod of ['pod-a', 'pod-b'])
      for (const ifname of ['eth0', 'net1', 'net2', 'nic0'])
        expect(run.output).toMatch(new RegExp(`${pod} +${ifname} `));
    expect(run.output.match(/ answers$/gm)).toHaveLength(5);
    expect(run.output).toContain('interfaces in the pods: none');
    expect(run.output).toContain('back, as they were');
    expectNothingLeft(run);
  }
});

describe('interrupted', () => {
  test.each([
    ['while it sets up', /is the namespace/],
    ['while it adds', /ADD:/],
    ['while it pings', /Ping from/],
    ['while it deletes', /CHECK, then DEL/],
  ])('%s, it leaves nothing', async (_when, moment) => {
    const run = await demo(moment);
    expect(run.output).toContain('Interrupted');
    expect(run.code).toBe(130);
    expectNothingLeft(run);
  });
});
