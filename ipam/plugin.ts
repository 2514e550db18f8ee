// manifold-ipam: gives each interface addresses that no other interface of this node's store holds.
import type { AddCall, AttachmentCall, Call, CheckCall, DelCall, GcCall, Plugin } from '../pkg/cni/plugin.ts';
import type { CniIp, CniResult } from '../pkg/cni/result.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import { formatAddress } from '../pkg/ip/address.ts';
import { cidrContains, readCidr } from '../pkg/ip/cidr.ts';
import type { Kernel } from '../pkg/kernel/kernel.ts';
import type { NodeStore } from '../pkg/state/node-store.ts';
import { deferRelease } from '../pkg/state/spool.ts';
import { claimRequestOf, ownerOf } from './claims.ts';
import { type IpamConfig, ipamConfig, ipamDelConfig } from './config.ts';
import { podName } from './exhausted.ts';
import type { Grant, KnownLease, LeaseStore } from './lease-store.ts';
import { nodeLeaseStore } from './node-lease-store.ts';

export interface IpamDeps {
  readonly kernel: Pick<Kernel, 'openIfThere'>;
  /** The store of this node, opened once a process: the plugin does not close it. */
  readonly openStore: (where: { readonly stateDir: string; readonly runDir: string }) => NodeStore;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * 'claimed' where the caller marks the leases held once the whole attachment stands (LeaseStore.markHeld).
   * @default 'held'
   */
  readonly leaseAs?: 'claimed' | 'held';
}

export function createIpam(deps: IpamDeps): Plugin<IpamConfig> {
  const open = (config: IpamConfig): LeaseStore => nodeLeaseStore(deps.openStore(config), deps);
  return {
    name: 'manifold-ipam',
    summary: 'gives interfaces addresses from ranges, and keeps who has which in the store of the node',
    config: ipamConfig,
    delConfig: ipamDelConfig,
    add: async (call) => add(call, open(call.config), deps.leaseAs ?? 'held'),
    del: (call) => del(call, () => open(call.config)),
    check: async (call) => check(call, open(call.config)),
    status: (call) => status(call, () => open(call.config)),
    gc: async (call: GcCall<IpamConfig>) => open(call.config).releaseAllBut(call.network, call.valid),
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

async function del(call: DelCall<IpamConfig>, open: () => LeaseStore): Promise<void> {
  const { containerId, ifname, network } = call;
  try {
    await open().release({ containerId, ifname, network });
  } catch (error) {
    if (!isManifoldError(error, 'state', 'try-later')) throw error;
    // DEL must not fail for it: the lease is released by the next process that can write the store.
    const { runDir, stateDir } = call.config;
    deferRelease(runDir, { stateDir, containerId, ifname, network, only: 'leases' }, error.message);
    call.log.warn('release deferred', { reason: error.message });
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

async function status(call: Call<IpamConfig>, open: () => LeaseStore): Promise<void> {
  try {
    await open().ensureServing(call.network, call.config.sets);
  } catch (error) {
    if (!isManifoldError(error, 'state', 'io', 'try-later')) throw error;
    throw new ManifoldError('unavailable', error.message, {
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    });
  }
}
