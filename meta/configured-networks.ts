// The networks that the configuration asks for (manifold.networks): each pod whose CNI_ARGS name none gets them. For the
// verbs that know no pod.
import type { Call } from '../pkg/cni/plugin.ts';
import { isManifoldError, type ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { MetaConfig } from './config.ts';
import type { Network } from './network.ts';
import { type NetworkSources, namespacesFor, readAskedNetwork } from './networks.ts';
import { type PlannedAttachment, planAttachments, planRequest } from './plan.ts';
import { type NetworkRequest, parseRequest } from './request.ts';

const ANY_POD = 'any pod';

const requestsOf = ({ config }: Call<MetaConfig>): NetworkRequest[] =>
  parseRequest(config.manifold.networks, 'manifold.networks of the configuration');

/**
 * The attachments of a pod whose CNI_ARGS name no networks. A network without namespace is that of the first namespace
 * that has one which can be used: it is refused when every pod would be.
 * @throws ManifoldError of the first thing that is wrong, naming network and file
 */
export function planOfAnyPod(
  sources: NetworkSources,
  call: Call<MetaConfig>,
  everyPod: readonly [Network, ...Network[]],
): PlannedAttachment[] {
  const asked = requestsOf(call).map((request) => {
    const { usable, problems } = readConfigured(sources, request);
    const [first] = usable;
    if (first === undefined) throw problems[0];
    return { request, network: first.network };
  });
  // A name that no interface has: CNI_IFNAME is the runtime's to choose.
  return planAttachments({ pod: ANY_POD, ifname: '', runtimeConfig: {}, everyPod, asked });
}

/** All that any pod may get of them, as ADD hands them to their plugins. @param problem takes why one cannot be used */
export function configuredNetworks(
  sources: NetworkSources,
  call: Call<MetaConfig>,
  problem: (error: ManifoldError) => void,
): Network[] {
  try {
    return requestsOf(call).flatMap((request) => {
      const { usable, problems } = readConfigured(sources, request);
      problems.forEach(problem);
      return usable.map(({ asIsAsked }) => asIsAsked);
    });
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    problem(error);
    return [];
  }
}

interface Configured {
  readonly usable: { readonly network: Network; readonly asIsAsked: Network }[];
  readonly problems: ManifoldError[];
}

/** What a request stands for in each namespace that it can be asked for in. */
function readConfigured(sources: NetworkSources, request: NetworkRequest): Configured {
  const usable: Configured['usable'] = [];
  const problems: ManifoldError[] = [];
  for (const namespace of namespacesFor(sources, request)) {
    try {
      const network = readAskedNetwork(sources, request, { label: ANY_POD, namespace });
      usable.push({ network, asIsAsked: planRequest(ANY_POD, network, request, 1).network });
    } catch (error) {
      if (!isManifoldError(error)) throw error;
      problems.push(error);
    }
  }
  return { usable, problems };
}
