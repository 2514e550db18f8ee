// The attachments of a pod, whole and in order, before the first change: pure. Who reads the facts is networks.ts.

import { IPAM_TYPES } from '../ipam/our-ipam.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { runtimeConfigOf, undeclared, withRequest } from './capability.ts';
import { ipamTypeOf, type Network, pluginsOf } from './network.ts';
import type { NetworkRequest } from './request.ts';

export interface PlannedAttachment {
  readonly position: number;
  readonly ifname: string;
  readonly network: Network;
  /** What the runtime or the request gives to plugins that declare the capability. */
  readonly runtimeConfig: JsonObject;
  /** Set for the one attachment that carries the pod's default route. */
  readonly defaultRoute?: readonly string[];
}

export interface PlanFacts {
  /** How messages name the pod. */
  readonly pod: string;
  /** CNI_IFNAME: the interface of the default network. */
  readonly ifname: string;
  /** The runtime's own runtimeConfig: for the default network alone (NPWG 7.5). */
  readonly runtimeConfig: JsonObject;
  /** The default network, then those that every pod gets. */
  readonly everyPod: readonly [Network, ...Network[]];
  /** What the pod asks for. */
  readonly asked: readonly { readonly request: NetworkRequest; readonly network: Network }[];
}

/**
 * Interfaces are named by position, net1 for the first after the default network, as Multus names them.
 * @throws ManifoldError 'bad-config' or 'unsupported-field', naming pod, network and file
 */
export function planAttachments(facts: PlanFacts): PlannedAttachment[] {
  const [first, ...others] = facts.everyPod;
  const planned: PlannedAttachment[] = [
    { position: 0, ifname: facts.ifname, network: first, runtimeConfig: facts.runtimeConfig },
  ];
  const add = (network: Network, request: NetworkRequest | undefined) => {
    const position = planned.length;
    const attachment =
      request === undefined ? plain(network, position) : planRequest(facts.pod, network, request, position);
    refuseSameName(facts.pod, planned, attachment);
    planned.push(attachment);
  };
  for (const network of others) add(network, undefined);
  for (const { request, network } of facts.asked) add(network, request);
  refuseTwoDefaultRoutes(facts.pod, planned);
  return planned;
}

function plain(network: Network, position: number): PlannedAttachment {
  return { position, ifname: `net${position}`, network, runtimeConfig: {} };
}

/** @throws ManifoldError 'bad-config' or 'unsupported-field' when the network cannot give what is asked for */
export function planRequest(
  pod: string,
  network: Network,
  request: NetworkRequest,
  position: number,
): PlannedAttachment {
  const runtimeConfig = runtimeConfigOf(request);
  const [missing] = undeclared(network.config, runtimeConfig);
  if (missing !== undefined) {
    throw refusal(
      pod,
      network,
      'bad-config',
      `it asks for ${missing}, which no plugin of the network declares`,
      {
        hint: `Add "capabilities": {"${missing}": true} to the plugin that serves it, or take ${missing} out of the request (NPWG 4.1.2).`,
      },
    );
  }
  const claimless = claimlessIpamOf(network.config);
  if (request.ipamClaim !== undefined && claimless !== undefined) {
    throw refusal(
      pod,
      network,
      'unsupported-field',
      `it asks for "ipam-claim-reference", which ${claimless} does not have yet`,
      {
        hint: 'Take "ipam-claim-reference" out of the request.',
      },
    );
  }
  return {
    position,
    ifname: request.ifname ?? `net${position}`,
    network: { ...network, config: withRequest(network.config, request) },
    runtimeConfig,
    ...(request.defaultRoute && { defaultRoute: request.defaultRoute }),
  };
}

/** An IPAM plugin of the network that would pass over a claim in silence: the other project's Whereabouts would, too. */
const claimlessIpamOf = (config: JsonObject): string | undefined =>
  pluginsOf(config)
    .map(ipamTypeOf)
    .find((type) => IPAM_TYPES.some((one) => one === type));

function refuseSameName(pod: string, earlier: readonly PlannedAttachment[], one: PlannedAttachment): void {
  const holder = earlier.find((other) => other.ifname === one.ifname);
  if (holder === undefined && one.ifname !== 'lo') return;
  const by = holder === undefined ? 'the loopback interface' : `network ${holder.network.label}`;
  throw refusal(pod, one.network, 'bad-config', `the interface name ${one.ifname} is taken by ${by}`, {
    hint: 'Give each network an interface name of its own ("name@interface"); a network without one is net<position>.',
  });
}

function refuseTwoDefaultRoutes(pod: string, planned: readonly PlannedAttachment[]): void {
  const [first, second] = planned.filter((one) => one.defaultRoute !== undefined);
  if (first === undefined || second === undefined) return;
  throw refusal(
    pod,
    second.network,
    'bad-config',
    `"default-route" is already asked for on network ${first.network.label}`,
    {
      hint: 'Leave "default-route" on one network of the pod only (NPWG 4.1.2.1.9).',
    },
  );
}

function refusal(
  pod: string,
  network: Network,
  code: 'bad-config' | 'unsupported-field',
  reason: string,
  options: { readonly hint: string },
): ManifoldError {
  return new ManifoldError(
    code,
    `Cannot attach ${pod} to network ${network.label}: ${reason} (${network.source})`,
    options,
  );
}
