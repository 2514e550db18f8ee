import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type LostFacts,
  type OwnFacts,
  planLost,
  planOwn,
  planRow,
  SUSPECT_MS,
  SUSPECT_PASSES,
} from './plan-reclaim.ts';
import { Suspects } from './suspects.ts';

const LONG = { passes: SUSPECT_PASSES, ms: SUSPECT_MS };
const dead: OwnFacts = {
  isPod: true,
  mirrored: 'unseen',
  sandbox: 'gone',
  suspected: LONG,
  asked: { pod: 'none', answers: false },
};

describe('a lease of this node', () => {
  test.each<[string, Partial<OwnFacts>]>([
    ['its pod is gone and so is its namespace', {}],
    ['its pod is gone and this node has no row of it', { sandbox: 'none' }],
    ['its pod has ended', { mirrored: 'ended', asked: { pod: 'ended', answers: false } }],
    ['it is of no pod and its namespace is gone', { isPod: false }],
    [
      'it is of no pod, whatever pod has its name',
      { isPod: false, asked: { pod: 'living', answers: false } },
    ],
  ])('is ended when %s', (_, facts) => {
    expect(planOwn({ ...dead, ...facts }).do).toBe('end');
  });

  test.each<[string, Partial<OwnFacts>]>([
    ['its pod lives', { mirrored: 'living' }],
    ['its pod lives, though its sandbox is gone: it is made again', { mirrored: 'living', sandbox: 'gone' }],
    ['its pod lives after all, and only the mirror lacked it', { asked: { pod: 'living', answers: false } }],
    ['a call for it is under way', { sandbox: 'in-hand' }],
    ['its namespace is there', { sandbox: 'there' }],
    ['its pod has ended but its namespace is there', { mirrored: 'ended', sandbox: 'there' }],
    ['it is of no pod and its namespace is there', { isPod: false, sandbox: 'there' }],
    [
      'it is of no pod and this node has no row of it: another machine may go by its name',
      { isPod: false, sandbox: 'none' },
    ],
    [
      'nobody can ask for its pod and this node has no row of it',
      { sandbox: 'none', asked: { pod: 'unclear', answers: false } },
    ],
    ['an interface of the node has the address', { asked: { pod: 'none', answers: true } }],
  ])('is kept when %s', (_, facts) => {
    expect(planOwn({ ...dead, ...facts }).do).toBe('keep');
  });

  test.each([[{ passes: 1, ms: SUSPECT_MS * 2 }], [{ passes: 9, ms: SUSPECT_MS - 1 }]])(
    'is only suspected after %o',
    (suspected) => {
      const { asked: _, ...unasked } = dead;
      expect(planOwn({ ...unasked, suspected })).toEqual({ do: 'suspect' });
    },
  );

  test('is not ended before API server and kernel have been asked', () => {
    const { asked: _, ...unasked } = dead;
    expect(planOwn(unasked)).toEqual({ do: 'ask' });
  });

  test('that is kept though its pod is unknown is told of', () => {
    expect(planOwn({ ...dead, sandbox: 'there' })).toMatchObject({ do: 'keep', odd: true });
    expect(planOwn({ ...dead, asked: { pod: 'none', answers: true } })).toMatchObject({ odd: true });
  });
});

/** A node with one pod, and an agent whose mirror shows the pod late or not at all. */
class World {
  pod: 'living' | 'ended' | 'none' = 'none';
  mirrored: OwnFacts['mirrored'] = 'unseen';
  namespace = false;
  row = false;
  adding = false;
  now = 0;
  ended = false;
  readonly suspects = new Suspects();

  get isInUse(): boolean {
    return this.namespace || this.adding || (this.pod === 'living' && !this.ended);
  }

  pass(): void {
    const facts: OwnFacts = {
      isPod: true,
      mirrored: this.mirrored,
      sandbox: this.adding ? 'in-hand' : this.row ? (this.namespace ? 'there' : 'gone') : 'none',
      suspected: { passes: 0, ms: 0 },
    };
    if (planOwn(facts).do !== 'keep') {
      const suspected = this.suspects.note('it', this.now);
      const decision = planOwn({ ...facts, suspected });
      const asked = { pod: this.pod, answers: this.namespace };
      const last = decision.do === 'ask' ? planOwn({ ...facts, suspected, asked }) : decision;
      if (last.do === 'end') {
        expect(this.isInUse).toBe(false);
        this.ended = true;
      }
    }
    this.suspects.endPass();
  }
}

const OFTEN = ['pass', 'pass', 'pass', 'pass', 'time goes by', 'time goes by', 'time goes by'];

test('no sequence of events ends the lease of a pod that lives, or an address that still answers', () => {
  const events: Readonly<Record<string, (world: World) => void>> = {
    'pod is made': (world) => {
      if (world.pod === 'none' && !world.ended) world.pod = 'living';
    },
    'ADD begins': (world) => {
      if (world.pod === 'living') [world.adding, world.row] = [true, true];
    },
    'ADD is done': (world) => {
      if (world.adding) [world.adding, world.namespace] = [false, true];
    },
    'ADD dies': (world) => {
      world.adding = false;
    },
    'sandbox dies': (world) => {
      world.namespace = false;
    },
    'store is lost': (world) => {
      if (!world.adding) world.row = false;
    },
    'pod ends': (world) => {
      if (world.pod === 'living') world.pod = 'ended';
    },
    'pod is deleted': (world) => {
      world.pod = 'none';
    },
    'mirror follows': (world) => {
      world.mirrored = world.pod === 'none' ? 'unseen' : world.pod;
    },
    'mirror loses it': (world) => {
      world.mirrored = 'unseen';
    },
    'time goes by': (world) => {
      world.now += SUSPECT_MS / 2;
    },
    pass: (world) => world.pass(),
  };
  let ends = 0;
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...Object.keys(events), ...OFTEN), { minLength: 20, maxLength: 80 }),
      (names) => {
        const world = new World();
        for (const name of names) events[name]?.(world);
        if (world.ended) ends++;
      },
    ),
    { numRuns: 5000 },
  );
  expect(ends, 'the property has seen leases end').toBeGreaterThan(20);
});

describe('a lease of another node', () => {
  const silence = { silentMs: 300_000, goneMs: 60_000 };
  test.each<[string, LostFacts]>([
    ['its node is gone and there is no such pod', { silentMs: 60_000, node: 'gone', pod: 'none' }],
    ['its node is silent and there is no such pod', { silentMs: 300_000, node: 'there', pod: 'none' }],
    [
      'nobody has seen its node and its pod has been gone for long',
      { silentMs: 300_000, node: 'unknown', pod: 'none', podGoneMs: 300_000 },
    ],
  ])('is ended when %s', (_, facts) => {
    expect(planLost(facts, silence).do).toBe('end');
  });

  test.each<[string, LostFacts]>([
    ['its node shows life', { silentMs: 0, node: 'gone', pod: 'none' }],
    [
      'its node is gone, but its kubelet showed life a moment ago',
      { silentMs: 59_999, node: 'gone', pod: 'none' },
    ],
    ['its node is there and not silent for long enough', { silentMs: 299_999, node: 'there', pod: 'none' }],
    ['its node is silent and its pod is still there', { silentMs: 900_000, node: 'there', pod: 'same' }],
    ['its node is gone and its pod is still there', { silentMs: 900_000, node: 'gone', pod: 'same' }],
    [
      'nobody has seen its node and its pod has not been gone for long',
      { silentMs: 900_000, node: 'unknown', pod: 'none', podGoneMs: 299_999 },
    ],
    ['nobody can say which pod it is of', { silentMs: 900_000, node: 'there', pod: 'unclear' }],
  ])('is kept when %s', (_, facts) => {
    expect(planLost(facts, silence).do).toBe('keep');
  });

  test('is asked about in the order of what it costs', () => {
    expect(planLost({ silentMs: 60_000 }, silence).do).toBe('ask-node');
    expect(planLost({ silentMs: 60_000, node: 'gone' }, silence).do).toBe('ask-pod');
  });
});

test.each([
  ['there', true, 'gone', 2, 'reaffirm'],
  ['gone', true, 'other-container', 2, 'reaffirm'],
  ['there', false, 'others', 2, 'reaffirm'],
  ['there', true, 'gone', 1, 'nothing'],
  ['there', true, 'same', 9, 'nothing'],
  ['gone', false, 'gone', 9, 'nothing'],
] as const)(
  'a row: namespace %s, pod lives %s, object %s, seen %i times: %s',
  (sandbox, isPodLiving, object, passes, done) => {
    expect(planRow({ sandbox, isPodLiving, object, passes })).toBe(done);
  },
);
