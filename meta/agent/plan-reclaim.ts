// When a lease may be ended though no DEL came. Pure. Never by a guess: what is not known keeps the lease.

/** Who speaks for a holder on its own node. */
export interface OwnFacts {
  /** False for an owner that is no pod: its container ID stands for it, and only its namespace can speak. */
  readonly isPod: boolean;
  /** In the mirror of this node's pods; 'unseen' also means that an event was lost, or has not come yet. */
  readonly mirrored: 'living' | 'ended' | 'unseen';
  /**
   * By the node's rows of this lease and holder. in-hand: a call for it is under way; there: a namespace that a row names
   * exists; gone: none of them does; none: there is no row.
   */
  readonly sandbox: 'in-hand' | 'there' | 'gone' | 'none';
  /** For how long it has looked dead without a break, and in how many passes, this one included. */
  readonly suspected: { readonly passes: number; readonly ms: number };
  /** By asking now: what a direct GET of the pod says, and whether an interface of this node has the address. */
  readonly asked?: {
    /** unclear: it has a UID, but the runtime gave no namespace to ask in. */
    readonly pod: 'living' | 'ended' | 'none' | 'unclear';
    readonly answers: boolean;
  };
}

export type OwnDecision =
  | { readonly do: 'keep'; readonly because: string /** People should hear of it. */; readonly odd?: true }
  /** It looks dead: look again later. */
  | { readonly do: 'suspect' }
  /** It has looked dead for long enough: ask the API server and the kernel, and plan again. */
  | { readonly do: 'ask' }
  | { readonly do: 'end'; readonly because: string };

export const SUSPECT_PASSES = 2;
export const SUSPECT_MS = 20_000;

export function planOwn(facts: OwnFacts, suspectMs = SUSPECT_MS): OwnDecision {
  const { isPod, mirrored, sandbox, suspected, asked } = facts;
  if (sandbox === 'in-hand') return keep('a call for it is under way');
  if (isPod && mirrored === 'living') return keep('its pod lives');
  if (sandbox === 'there')
    return isPod && mirrored === 'unseen'
      ? odd('the API server has no such pod, but its network namespace is there')
      : keep('its network namespace is there');
  if (suspected.passes < SUSPECT_PASSES || suspected.ms < suspectMs) return { do: 'suspect' };
  // Another machine may go by this node's name: without a UID and without a row nothing says that it was ours.
  if (!isPod && sandbox === 'none') return odd('the runtime gave no UID, and this node has no record of it');
  if (asked === undefined) return { do: 'ask' };
  if (isPod && asked.pod === 'living') return keep('its pod lives');
  if (asked.answers) return odd('an interface of this node still has the address');
  if (isPod && sandbox === 'none' && asked.pod === 'unclear')
    return odd('the runtime gave no namespace to ask for its pod in, and this node has no record of it');
  return { do: 'end', because: whyDead(facts, asked.pod) };
}

function whyDead({ isPod, sandbox }: OwnFacts, pod: NonNullable<OwnFacts['asked']>['pod']): string {
  const where = sandbox === 'gone' ? 'its network namespace is gone' : 'no namespace of this node has it';
  if (!isPod) return `no pod was named, and ${where}`;
  return `${pod === 'ended' ? 'its pod has ended' : 'its pod is gone'}, and ${where}`;
}

/** Who speaks for a holder on a node that may be lost. */
export interface LostFacts {
  /** For how long neither the kubelet nor the agent of the node has shown life, by our own monotonic clock. */
  readonly silentMs: number;
  /** By asking now. unknown: there is none, and nothing says that there ever was: the name may be wrong. */
  readonly node?: 'there' | 'gone' | 'unknown';
  /** By a direct GET now: a pod of its UID; 'unclear': what is recorded of it does not suffice to know. */
  readonly pod?: 'same' | 'unclear' | 'none';
  /** For how long each look has found no such pod. */
  readonly podGoneMs?: number;
}

export type LostDecision =
  | { readonly do: 'keep' /** Nobody will end it: people should hear of it. */; readonly odd?: true }
  | { readonly do: 'ask-node' }
  | { readonly do: 'ask-pod' }
  | { readonly do: 'end'; readonly because: string };

export interface Silence {
  /** Of a node whose Node object is there. */
  readonly silentMs: number;
  /** Of a node whose Node object is gone: its kubelet may still be ending what ran there. */
  readonly goneMs: number;
}

export function planLost({ silentMs, node, pod, podGoneMs = 0 }: LostFacts, silence: Silence): LostDecision {
  // Whoever shows life ends its own leases: it alone can see what still answers there.
  if (silentMs < Math.min(silence.silentMs, silence.goneMs)) return { do: 'keep' };
  if (node === undefined) return { do: 'ask-node' };
  if (node === 'there' && silentMs < silence.silentMs) return { do: 'keep' };
  if (silentMs < silence.goneMs) return { do: 'keep' };
  if (pod === undefined) return { do: 'ask-pod' };
  if (pod === 'unclear' && node !== 'there') return { do: 'keep', odd: true };
  if (pod !== 'none') return { do: 'keep' };
  if (node === 'unknown') {
    // The silence of a name that nobody ever had says nothing: that its pod is gone must say it all.
    if (podGoneMs < silence.silentMs) return { do: 'keep' };
    const gone = `there has been no such pod for ${Math.round(podGoneMs / 1000)} s`;
    return { do: 'end', because: `${gone}, and nobody has seen its node` };
  }
  const what =
    node === 'gone' ? 'its node is gone' : `its node has been silent for ${Math.round(silentMs / 1000)} s`;
  return { do: 'end', because: `${what}, and there is no such pod` };
}

/** What is to be done about a row of this node that is held, beside what planOwn says of it. */
export function planRow(facts: {
  readonly sandbox: OwnFacts['sandbox'];
  readonly isPodLiving: boolean;
  /** The lease's object as the mirror has it. */
  readonly object: 'same' | 'other-container' | 'others' | 'gone';
  /** In how many passes without a break the object was not as it should be. */
  readonly passes: number;
}): 'nothing' | 'reaffirm' {
  const { sandbox, isPodLiving, object, passes } = facts;
  if (object === 'same' || passes < SUSPECT_PASSES) return 'nothing';
  return sandbox === 'there' || isPodLiving ? 'reaffirm' : 'nothing';
}

const keep = (because: string): OwnDecision => ({ do: 'keep', because });

const odd = (because: string): OwnDecision => ({ do: 'keep', because, odd: true });
