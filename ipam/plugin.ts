// manifold-ipam: gives each interface addresses that no other interface of the cluster, or of this node's store, holds.
import type { AddCall, AttachmentCall, Call, CheckCall, DelCall, GcCall, Plugin } from '../pkg/cni/plugin.ts';
import type { CniIp, CniResult } from '../pkg/cni/result.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import { cidrContains, formatCidr, readCidr } from '../pkg/ip/cidr.ts';
import { deferRelease } from '../pkg/state/spool.ts';
import { claimRequestOf, ownerOf } from './claims.ts';
import { DEADLINE_MS, type Reservations } from './cluster-deps.ts';
import { type IpamConfig, ipamConfig, ipamDelConfig } from './config.ts';
import { podName } from './exhausted.ts';
import type { Grant, KnownLease, LeaseStore } from './lease-store.ts';
import { type LeaseStoreDeps, openLeaseStore, reservationsOf } from './open-lease-store.ts';
import { resolvePools } from './resolve-pools.ts';

export interface IpamDeps extends LeaseStoreDeps {
  /**
   * 'claimed' where the caller marks the leases held once the whole attachment stands (LeaseStore.markHeld).
   * @default 'held'
   */
  readonly leaseAs?: 'claimed' | 'held';
}

export function createIpam(deps: IpamDeps): Plugin<IpamConfig> {
  const open = ({ config, log }: Call<IpamConfig>) => openLeaseStore(deps, config, log);
  return {
    name: 'manifold-ipam',
    summary: 'gives interfaces addresses from ranges, each to one pod of the cluster or of the node',
    config: ipamConfig,
    delConfig: ipamDelConfig,
    async add(call) {
      const config = await resolvePools(deps, call.config, call, AbortSignal.timeout(DEADLINE_MS.claim));
      return add({ ...call, config }, open(call), deps.leaseAs ?? 'held');
    },
    del: (call) => del(call, deps, () => open(call)),
    async check(call) {
      const config = await resolvePools(deps, call.config, undefined, AbortSignal.timeout(DEADLINE_MS.look));
      return check({ ...call, config }, open(call));
    },
    status: (call) => status(call, deps, () => open(call)),
    gc: async (call: GcCall<IpamConfig>) => open(call).releaseAllBut(call.network, call.valid),
  };
}

async function add(call: AddCall<IpamConfig>, store: LeaseStore, as: 'claimed' | 'held'): Promise<CniResult> {
  const { config } = call;
  if (config.withoutMeaning.length > 0)
    call.log.warn('keys without a meaning here', { keys: config.withoutMeaning.map((key) => `ipam.${key}`) });
  const [grants = []] = await store.claim([claimRequestOf(config, call)], as);
  return {
    ips: grants.map(ipOf),
    ...(config.routes.length > 0 && { routes: config.routes }),
    ...(config.dns !== undefined && { dns: config.dns }),
  };
}

function ipOf({ address, prefix, gateway }: Grant): CniIp {
  return {
    address: `${formatAddress(address)}/${prefix}`,
    ...(gateway !== undefined && { gateway: formatAddress(gateway) }),
  };
}

async function del(call: DelCall<IpamConfig>, deps: IpamDeps, open: () => LeaseStore): Promise<void> {
  const { containerId, ifname, network } = call;
  try {
    const store = open();
    const theirs = reservationsOf(deps, call.config);
    const isKnown = theirs !== undefined && (await store.ofAttachment(call)).length > 0;
    await store.release({ containerId, ifname, network });
    if (theirs !== undefined && !isKnown) await endTheirs(call, theirs);
  } catch (error) {
    if (!isManifoldError(error, 'state', 'try-later')) throw error;
    // DEL must not fail for it: the lease is released by the next process that can write the store.
    const { runDir, stateDir } = call.config;
    deferRelease(runDir, { stateDir, containerId, ifname, network, only: 'leases' }, error.message);
    call.log.warn('release deferred', { reason: error.message });
  }
}

/** A container that we know nothing of may be one that Whereabouts attached before this node was moved over. */
async function endTheirs(call: DelCall<IpamConfig>, theirs: Reservations): Promise<void> {
  const ranges = call.config.sets
    .flat()
    .map(({ domain, subnet }) => ({ domain, subnet: formatCidr(subnet) }));
  try {
    const ended = await theirs.endTheirs(call, ranges, AbortSignal.timeout(DEADLINE_MS.release));
    if (ended > 0) call.log.info('ended what Whereabouts had given', { addresses: ended });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    call.log.warn('what Whereabouts may have given is left to its reconciler', { reason: error.message });
  }
}

async function check(call: CheckCall<IpamConfig>, store: LeaseStore): Promise<void> {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const ip of call.prevResult.ips ?? []) {
    const cidr = readCidr(ip.address);
    const domains = cidr === undefined ? [] : domainsOf(call.config, cidr.address);
    if (cidr === undefined || domains.length === 0) continue; // another plugin's
    const address = formatAddress(cidr.address);
    seen.add(address);
    const leases = await Promise.all(domains.map((domain) => store.get(domain, cidr.address)));
    const difference = differenceOf(
      leases.flatMap((lease) => lease ?? []),
      call,
    );
    if (difference !== undefined) wrong.push(`${address} ${difference}`);
  }
  for (const lease of await store.ofAttachment(call))
    if (!seen.has(lease.address)) wrong.push(`${lease.address} is leased to it but is not in prevResult`);
  if (wrong.length > 0)
    throw new ManifoldError(
      'check-failed',
      `Cannot confirm the addresses of ${call.ifname} of container ${call.containerId} on network ${call.network}: ${wrong.join('; ')}`,
      { hint: 'Make the sandbox anew (delete the pod): its next ADD leases addresses again.' },
    );
}

/** @param leases of the address, in the domains that it may come from */
function differenceOf(leases: readonly KnownLease[], call: AttachmentCall<IpamConfig>): string | undefined {
  const [lease] = leases;
  if (lease === undefined) return 'is leased to nobody';
  const mine = leases.some(
    ({ state, owner, ifname, containerId, network }) =>
      state !== 'resting' &&
      network === call.network &&
      owner === ownerOf(call) &&
      ifname === call.ifname &&
      containerId === call.containerId,
  );
  if (mine) return undefined;
  const elsewhere = lease.network === call.network ? '' : ` on network ${lease.network}`;
  const holder = `${podName(lease.pod, lease.containerId)}${elsewhere} (container ${lease.containerId}, ${lease.ifname})`;
  return lease.state === 'resting' ? `was released, last held by ${holder}` : `is leased to ${holder}`;
}

/** Several where ranges overlap and enable_overlapping_ranges is off. */
function domainsOf({ sets, fixed }: IpamConfig, address: Grant['address']): string[] {
  const subnets = [
    ...sets.flat().map(({ domain, subnet }) => ({ domain, subnet })),
    ...fixed.map(({ domain, cidr }) => ({ domain, subnet: cidr })),
  ];
  const fitting = subnets.filter(({ subnet }) => cidrContains(subnet, address));
  return [...new Set(fitting.map(({ domain }) => domain))];
}

async function status(call: Call<IpamConfig>, deps: IpamDeps, open: () => LeaseStore): Promise<void> {
  try {
    // For both together: a runtime waits for STATUS.
    const signal = AbortSignal.timeout(DEADLINE_MS.look);
    const { sets } = await resolvePools(deps, call.config, undefined, signal);
    await open().ensureServing(call.network, sets, signal);
  } catch (error) {
    if (!isManifoldError(error, 'state', 'io', 'try-later', 'api')) throw error;
    throw new ManifoldError('unavailable', error.message, {
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    });
  }
}
