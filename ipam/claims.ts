// From a call to what is to be claimed; and the claims of all attachments of a pod at once, for the meta plugin.
import { podOf } from '../pkg/attach/deps.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { type Address, readAddress } from '../pkg/ip/address.ts';
import { readCidr } from '../pkg/ip/cidr.ts';
import { type IpamConfig, uniqueAddresses } from './config.ts';
import type { ClaimRequest, Grant, LeaseHolder, LeaseStore } from './lease-store.ts';

/** The parts of an ADD that say who asks. */
export interface Claimant extends LeaseHolder {
  readonly netns: string;
  /** CNI_ARGS. */
  readonly args: Readonly<Record<string, string>>;
}

/** @throws ManifoldError 'bad-environment' when CNI_ARGS asks for what is no address */
export function claimRequestOf(config: IpamConfig, claimant: Claimant): ClaimRequest {
  const { network, containerId, ifname, netns, args } = claimant;
  const pod = podOf(args);
  return {
    network,
    containerId,
    ifname,
    netns,
    pod,
    owner: ownerOf(claimant),
    sets: config.sets,
    fixed: config.fixed,
    gateways: config.gateways,
    // CNI conventions: args.cni (and the newer runtimeConfig) take the place of CNI_ARGS.
    requested: config.requested.length > 0 ? config.requested : requestedByArgs(args),
  };
}

/** A sandbox that is made again keeps the UID of its pod, and with it the addresses. */
export const ownerOf = ({ containerId, args }: Pick<Claimant, 'containerId' | 'args'>): string =>
  podOf(args).uid ?? containerId;

/**
 * Claims the addresses of all attachments of a pod before the first of them is made: all or none. The ADD of each
 * finds its own. Until then, or when this process dies, they are claimed and not held.
 * @returns for each request its addresses
 * @throws ManifoldError as LeaseStore.claim
 */
export const claimForPod = (store: LeaseStore, requests: readonly ClaimRequest[]): Promise<Grant[][]> =>
  store.claim(requests, 'claimed');

/** Lets the claims of a pod whose ADD failed rest. */
export async function releaseClaims(store: LeaseStore, requests: readonly LeaseHolder[]): Promise<void> {
  for (const request of requests) await store.release(request);
}

function requestedByArgs(args: Readonly<Record<string, string>>): Address[] {
  const texts = (args.IP ?? '').split(',').filter((text) => text !== '');
  const bad = texts.find((text) => (readAddress(text) ?? readCidr(text)) === undefined);
  if (bad !== undefined)
    throw new ManifoldError('bad-environment', `Cannot use CNI_ARGS: IP is no IP address ("${bad}")`, {
      hint: 'Write IP=10.1.2.3, or several with commas between them.',
    });
  return uniqueAddresses(texts);
}
