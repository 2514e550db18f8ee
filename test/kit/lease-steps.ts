// What may happen to pods and nodes, at random: the sequences of the property test.
import fc from 'fast-check';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import type { Fault } from './fault-proxy/fault.ts';

const PODS = 9;

/** Six addresses of IPv4 for nine pods, two of them in all definitions. */
export const NETWORKS: readonly JsonObject[] = [
  { range: '10.240.0.1-10.240.0.4/27' },
  {
    ipRanges: [{ range: '10.240.0.3-10.240.0.6/28' }, { range: 'fd24::/125' }],
    order: 'spread',
    reuseDelay: '0s',
  },
  { range: '10.240.0.1-10.240.0.4/27', sticky: '10m' },
];

export const FAULTS: Readonly<Record<string, Fault>> = {
  'answer lost': { kind: 'lose-answer' },
  'answer lost, and down': { kind: 'lose-answer', afterwards: 'refuse' },
  reset: { kind: 'drop' },
  down: { kind: 'pass', afterwards: 'refuse' },
};

const node = fc.nat({ max: 2 });
const pod = fc.nat({ max: PODS - 1 });
/** What happens to one call: its process dies, or one of its writes has bad luck. */
const rarely = <T>(weight: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const luck = fc.record({
  dies: rarely(4, fc.integer({ min: 1, max: 7 })),
  fault: rarely(9, fc.constantFrom('answer lost', 'answer lost, and down', 'reset', 'down')),
});
export const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('add' as const), pod, node, luck }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('del' as const), pod, luck }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('delete pod' as const), pod, withSandbox: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('late del' as const), luck }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('boot' as const, 'lose' as const, 'return' as const), node }),
  },
  // An outage makes each call wait: it is rare, and short.
  { weight: 1, arbitrary: fc.record({ do: fc.constant('away' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('back' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('reclaim' as const) }) },
);
export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
export type Luck = typeof luck extends fc.Arbitrary<infer L> ? L : never;
