// Who has an address, since when, whether that is still so, and what would free it: facts as sentences. Pure.
import {
  DEFAULT_REST_SECONDS,
  type IpLease,
  isOfStatefulSet,
  isOver,
  restsByDefault,
} from '../../ipam/ip-lease.ts';
import type { LeaseFacts, NodeFact, PodFact } from './lease-facts.ts';
import { ageText, durationText } from './time-text.ts';

/** After that an agent counts as silent: its heartbeat is written every 10 seconds. */
const AGENT_SILENT_MS = 60_000;
/** When the reclaiming agent takes a node for lost, unless it is told otherwise. */
const NODE_SILENCE_MS = 5 * 60_000;

/** @param now milliseconds since the epoch, by the clock of the API server */
export function leaseStory(lease: IpLease, facts: LeaseFacts, now: number): string[] {
  const { spec } = lease;
  const rows = [
    [
      'lease',
      `${lease.metadata.name}, from ${spec.subnet}${spec.domain === '' ? '' : `, domain ${spec.domain}`}`,
    ],
    [
      'since',
      `${spec.acquired} (${ageText(spec.acquired, now)}), last confirmed ${ageText(spec.renewed, now)} ago`,
    ],
    ...(spec.released === undefined
      ? []
      : [['freed', `${spec.released} (${ageText(spec.released, now)} ago)`]]),
    ['container', spec.owner.containerID],
    ['pod', podWords(lease, facts.pod)],
    ['node', `${spec.node}: ${nodeWords(facts.node, now)}`],
  ];
  return [
    `${spec.address} ${holdingWords(lease)}.`,
    ...rows.map(([label = '', text = '']) => `  ${label.padEnd(10)}${text}`),
    'What frees it:',
    ...freeingWords(lease, facts, now).map((text) => `  ${text}`),
  ];
}

export function ownerWords({ spec: { owner } }: IpLease): string {
  const { podNamespace, podName, containerID } = owner;
  return podName === undefined ? `container ${containerID}` : `pod ${podNamespace ?? ''}/${podName}`;
}

function holdingWords(lease: IpLease): string {
  const { phase, owner, network } = lease.spec;
  const place = `interface ${owner.interface} of ${ownerWords(lease)} on network ${network}`;
  switch (phase) {
    case 'Held':
      return `is held by ${place}`;
    case 'Resting':
      return `rests: it was freed by ${place}`;
    case 'Sticky':
      return `is kept for the next pod of its name: it was freed by ${place}`;
  }
  return phase satisfies never;
}

function podWords(lease: IpLease, pod: PodFact): string {
  const { podNamespace, podName, uid } = lease.spec.owner;
  const name = `${podNamespace}/${podName} (UID ${uid})`;
  switch (pod.is) {
    case 'unnamed':
      return 'the runtime named none: the lease belongs to the container';
    case 'there': {
      const words = [
        pod.phase,
        ...(pod.deleting ? ['being deleted'] : []),
        `on node ${pod.node ?? '(none yet)'}`,
      ];
      return `${name} is there: ${words.join(', ')}`;
    }
    case 'gone':
      return `${name} is gone`;
    case 'replaced':
      return `${name} is gone: another pod has its name now`;
    case 'unknown':
      return `${name}: not known (${pod.why})`;
  }
  return pod satisfies never;
}

function nodeWords(node: NodeFact, now: number): string {
  switch (node.is) {
    case 'there': {
      const heard = (time: number | undefined) =>
        time === undefined ? 'never heard' : `heard ${durationText(now - time)} ago`;
      return `Ready ${node.ready}; kubelet ${heard(node.kubelet)}, manifold-agent ${heard(node.agent)}`;
    }
    case 'gone':
      return 'there is no such node';
    case 'unknown':
      return `not known (${node.why})`;
  }
  return node satisfies never;
}

function freeingWords(lease: IpLease, facts: LeaseFacts, now: number): string[] {
  const { phase } = lease.spec;
  if (phase === 'Held') return heldWords(lease, facts, now);
  const { until = '' } = lease.spec;
  if (isOver(lease.spec, now))
    return ['Its time is over: the next claim may have it, and the reclaiming agent deletes it.'];
  const wait = `in ${durationText(Date.parse(until) - now)}, at ${until}`;
  const early = restsByDefault(lease.spec) ? ['A claim gets it sooner when nothing else is free.'] : [];
  const own =
    phase === 'Sticky'
      ? `The next ${ownerWords(lease)} gets it back on this interface and network.`
      : 'The same pod may have it back at any time.';
  return [`Time does: it is free ${wait}.`, own, ...early, 'Now: manifold leases release.'];
}

function heldWords(lease: IpLease, { pod, node, reclaimer }: LeaseFacts, now: number): string[] {
  const { spec } = lease;
  const end = `${capital(restWords(lease))}.`;
  const agent = node.is === 'there' && node.agent !== undefined && now - node.agent < AGENT_SILENT_MS;
  switch (pod.is) {
    case 'unnamed':
      return [`The runtime's DEL of container ${spec.owner.containerID} on node ${spec.node}.`, end];
    case 'unknown':
      return [`Deleting the pod, or its end on node ${spec.node}.`, end];
    case 'there':
      return [
        pod.deleting || pod.phase === 'Succeeded' || pod.phase === 'Failed'
          ? `The runtime's DEL on node ${spec.node}, which comes when the pod's sandbox is removed.`
          : `Deleting the pod: then the runtime on node ${spec.node} calls DEL.`,
        end,
      ];
    case 'gone':
    case 'replaced':
      if (node.is === 'gone') return [...lostNodeWords(spec.node, reclaimer, 'gone'), end];
      if (agent)
        return [
          `The agent on node ${spec.node} ends it within a minute or two, once nothing there can answer for the address.`,
          end,
        ];
      return [
        `The agent on node ${spec.node}, when it runs: it is not heard.`,
        ...lostNodeWords(spec.node, reclaimer, silence(node, now)),
        end,
      ];
  }
  return pod satisfies never;
}

function silence(node: NodeFact, now: number): string {
  if (node.is !== 'there') return 'silent';
  const heard = Math.max(node.kubelet ?? 0, node.agent ?? 0);
  const left = NODE_SILENCE_MS - (now - heard);
  return left > 0 ? `silent for 5m (${durationText(left)} more)` : 'silent for 5m (it has been)';
}

const lostNodeWords = (node: string, reclaimer: string | undefined, state: string): string[] => [
  reclaimer === undefined
    ? `Nobody yet: no agent holds the Lease manifold-reclaim, whose holder ends what node ${node} has when that is ${state}.`
    : `The reclaiming agent (on node ${reclaimer}), when node ${node} is ${state}.`,
];

function restWords({ spec: { owner, stickySeconds = 0, reuseDelaySeconds } }: IpLease): string {
  if (stickySeconds > 0 && isOfStatefulSet(owner.podName))
    return `then it is kept for the next pod of this name for ${durationText(stickySeconds * 1000)}`;
  if (reuseDelaySeconds === 0) return 'then it is free at once';
  const rest = durationText((reuseDelaySeconds ?? DEFAULT_REST_SECONDS) * 1000);
  return `then it rests for ${rest}${reuseDelaySeconds === undefined ? ', or until nothing else is free' : ''}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
