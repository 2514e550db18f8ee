// Many calls of manifold-ipam that begin at once, as when all pods of a job start.
import { expect } from 'vitest';
import { type ClusterAnswer, type ClusterCall, callCluster, Gate } from './cluster-call.ts';

/** Two busy cores may be too slow for a deadline: who is told so is called again, as a runtime does. */
const isLate = ({ error }: ClusterAnswer): boolean =>
  error?.code === 11 && !error.msg.includes('no address of network');
const AGAIN_AT_ONCE = 16;

export interface BurstWatcher {
  /** All stand ready, and begin. */
  onOpen(): void;
  /** Each of the first answers as it comes. */
  onAnswer(index: number): void;
}

/** All at once, when all stand ready; the late ones once more, a few at a time. */
export async function burst(
  command: readonly string[],
  calls: readonly ClusterCall[],
  watcher?: BurstWatcher,
): Promise<ClusterAnswer[]> {
  const gate = new Gate();
  const answers = calls.map(async (call, index) => {
    const answer = await callCluster(command, { ...call, gate });
    watcher?.onAnswer(index);
    return answer;
  });
  await gate.open();
  watcher?.onOpen();
  const first = await Promise.all(answers);
  const late = first.flatMap((answer, index) => (isLate(answer) ? [index] : []));
  for (let from = 0; from < late.length; from += AGAIN_AT_ONCE)
    await Promise.all(
      late.slice(from, from + AGAIN_AT_ONCE).map(async (index) => {
        const call = calls[index];
        if (call !== undefined) first[index] = await untilInTime(command, call);
      }),
    );
  return first;
}

async function untilInTime(command: readonly string[], call: ClusterCall): Promise<ClusterAnswer> {
  const answer = await callCluster(command, call);
  return isLate(answer) ? untilInTime(command, call) : answer;
}

/** Who, by number, was told that it has which address. No address twice. */
export function toldOf(answers: readonly ClusterAnswer[]): Map<string, number> {
  const told = answers.flatMap(({ addresses }, index) => addresses.map((one) => [one, index] as const));
  expect(new Set(told.map(([address]) => address)).size).toBe(told.length);
  return new Map(told);
}
