// `manifold leases release ADDRESS`: ends a lease by hand, but not one that somebody may be using.
import { endLease } from '../../ipam/end-lease.ts';
import { IP_LEASES, type IpLease } from '../../ipam/ip-lease.ts';
import { type Address, formatAddress } from '../../pkg/ip/address.ts';
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { isKubeError } from '../../pkg/kube/kube-error.ts';
import { type LeaseFacts, readLeaseFacts } from './lease-facts.ts';
import { ownerWords } from './lease-why.ts';
import { leasesOfAddress } from './leases-of-address.ts';
import type { Report } from './main.ts';
import { releaseReservations } from './our-reservations.ts';

export interface ReleaseOptions {
  readonly domain: string | undefined;
  readonly force: boolean;
  readonly dryRun: boolean;
}

export async function leaseReleaseReport(
  client: KubeClient,
  address: Address,
  options: ReleaseOptions,
): Promise<Report> {
  const text = formatAddress(address);
  const [lease, ...more] = await leasesOfAddress(client, address, options.domain);
  if (lease === undefined) return { lines: [`${text} is free: there is no lease to release.`], exitCode: 0 };
  if (more.length > 0) {
    const domains = [lease, ...more].map(({ spec }) => JSON.stringify(spec.domain)).join(', ');
    return {
      lines: [`${text} is held in several domains: say which with --domain (${domains}).`],
      exitCode: 1,
    };
  }
  const facts = await readLeaseFacts(client, lease);
  const doubt = doubtOf(lease, facts);
  if (doubt !== undefined && !options.force) return { lines: refusal(lease, doubt), exitCode: 1 };
  const warning = doubt === undefined ? [] : [`Forced, although ${doubt}.`];
  if (options.dryRun)
    return { lines: [...warning, `Would end ${describe(lease)}. Nothing was changed.`], exitCode: 0 };
  const { line, exitCode } = await release(client, lease);
  const besides = exitCode === 0 ? await releaseReservations(client, lease) : [];
  return { lines: [...warning, line, ...besides], exitCode };
}

/** Why somebody may be using it: undefined where nobody can. */
function doubtOf({ spec }: IpLease, { pod, node }: LeaseFacts): string | undefined {
  if (spec.phase !== 'Held') return undefined;
  if (pod.is === 'there')
    return `its pod is there (${pod.phase}): delete the pod, and its lease ends with it`;
  if (pod.is === 'unknown') return `nobody can say whether its pod is there: ${pod.why}`;
  if (node.is === 'gone') return undefined;
  const where = `on node ${spec.node} its interface may still answer for the address`;
  return `${where}: that node's manifold-agent ends the lease when it does not`;
}

const refusal = (lease: IpLease, doubt: string): string[] => [
  `Cannot release ${lease.spec.address}: ${doubt}.`,
  `It is ${describe(lease)}. If you know better: --force. What is known: manifold leases why ${lease.spec.address}`,
];

const describe = (lease: IpLease): string =>
  `the lease ${lease.metadata.name} (${lease.spec.phase}) of ${ownerWords(lease)}, interface ${lease.spec.owner.interface}, on node ${lease.spec.node}`;

/** As it was when it was looked at, or not at all. */
async function release(client: KubeClient, lease: IpLease): Promise<{ line: string; exitCode: number }> {
  const what = describe(lease);
  const outcome =
    lease.spec.phase === 'Held'
      ? await endLease(client, lease, { now: client.now() })
      : await remove(client, lease);
  switch (outcome) {
    case 'ended':
      return {
        line: `Ended ${what}${lease.spec.phase === 'Held' ? ': it rests now as its definition says' : ''}.`,
        exitCode: 0,
      };
    case 'gone':
      return { line: `It was gone already: ${what}.`, exitCode: 0 };
    case 'changed':
      return { line: `It has changed meanwhile and was left alone: ${what}. Look again.`, exitCode: 1 };
  }
  return outcome satisfies never;
}

async function remove(client: KubeClient, { metadata: { name, uid, resourceVersion } }: IpLease) {
  try {
    const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    return (await client.delete(IP_LEASES, name, preconditions)) === 'deleted'
      ? ('ended' as const)
      : ('gone' as const);
  } catch (error) {
    if (isKubeError(error, 'Conflict')) return 'changed' as const;
    throw error;
  }
}
