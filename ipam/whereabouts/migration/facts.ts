// What the migration reads of a cluster, reduced to what it decides by. Pure: raw objects in, records out.
import { isJsonObject } from '../../../pkg/cni/network-config.ts';
import type { JsonObject } from '../../../pkg/cni/plugin.ts';
import { formatAddress, readAddress } from '../../../pkg/ip/address.ts';
import { formatCidr, readCidr, subnetOf } from '../../../pkg/ip/cidr.ts';
import type { RawObject } from '../../../pkg/kube/kube-client.ts';

export interface PodFact {
  readonly namespace: string;
  readonly name: string;
  /** As its node's runtime knows it: of a static pod that of its file. */
  readonly uid: string;
  readonly node: string | undefined;
  /** Its containers have ended for good. */
  readonly isOver: boolean;
  /** What its network-status says; undefined where there is none, or it cannot be read. */
  readonly interfaces: readonly PodInterface[] | undefined;
}

export interface PodInterface {
  /** As its network-status names it: "namespace/name" of a definition, or the name of the default network. */
  readonly network: string;
  readonly ifname: string | undefined;
  /** Canonical text. */
  readonly addresses: readonly string[];
}

const STATUS_KEYS = ['k8s.v1.cni.cncf.io/network-status', 'k8s.v1.cni.cncf.io/networks-status'];

export function podFact(pod: RawObject): PodFact {
  const { metadata } = pod;
  const { annotations = {} } = metadata;
  const spec = objectOf(pod.spec);
  const { phase } = objectOf(pod.status);
  const isMirror = annotations['kubernetes.io/config.mirror'] !== undefined;
  const status = STATUS_KEYS.map((key) => annotations[key]).find((text) => text !== undefined);
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: (isMirror ? annotations['kubernetes.io/config.hash'] : undefined) ?? metadata.uid ?? '',
    node: typeof spec.nodeName === 'string' ? spec.nodeName : undefined,
    isOver: phase === 'Succeeded' || phase === 'Failed',
    interfaces: status === undefined ? undefined : interfacesOf(status),
  };
}

function interfacesOf(status: string): PodInterface[] | undefined {
  const entries = jsonOf(status);
  if (!Array.isArray(entries)) return undefined;
  return entries.filter(isJsonObject).map(({ name, interface: ifname, ips }) => ({
    network: typeof name === 'string' ? name : '',
    ifname: typeof ifname === 'string' ? ifname : undefined,
    addresses: (Array.isArray(ips) ? ips : []).flatMap((ip: unknown) => {
      const address = typeof ip === 'string' ? (readAddress(ip) ?? readCidr(ip)?.address) : undefined;
      return address === undefined ? [] : [formatAddress(address)];
    }),
  }));
}

/** A range of a NetworkAttachmentDefinition whose IPAM is Whereabouts. */
export interface DefinitionFact {
  /** "namespace/name" */
  readonly definition: string;
  /** `name` of its configuration: what leases call the network. */
  readonly network: string;
  /** network_name, "" for none. */
  readonly domain: string;
  /** Canonical text. */
  readonly subnet: string;
  /** enable_overlapping_ranges */
  readonly overlapping: boolean;
}

export function definitionFacts({ metadata, spec }: RawObject): DefinitionFact[] {
  const { config } = objectOf(spec);
  const parsed = typeof config === 'string' ? jsonOf(config) : undefined;
  if (!isJsonObject(parsed)) return [];
  const plugins = Array.isArray(parsed.plugins) ? parsed.plugins : [parsed];
  const definition = `${metadata.namespace}/${metadata.name}`;
  const network = typeof parsed.name === 'string' && parsed.name !== '' ? parsed.name : metadata.name;
  return plugins
    .filter(isJsonObject)
    .map((plugin) => objectOf(plugin.ipam))
    .filter(({ type }) => type === 'whereabouts')
    .flatMap((ipam) =>
      subnetsOf(ipam).map((subnet) => ({
        ...{ definition, network, subnet },
        domain: typeof ipam.network_name === 'string' ? ipam.network_name : '',
        overlapping: ipam.enable_overlapping_ranges !== false,
      })),
    );
}

function subnetsOf({ range, ipRanges }: JsonObject): string[] {
  const entries = [
    range,
    ...(Array.isArray(ipRanges) ? ipRanges.map((one: unknown) => objectOf(one).range) : []),
  ];
  return entries.flatMap((text) => {
    // "start-end/length" is in the subnet of its end.
    const cidr = typeof text === 'string' ? readCidr(text.slice(text.indexOf('-') + 1).trim()) : undefined;
    return cidr === undefined ? [] : [formatCidr(subnetOf(cidr))];
  });
}

const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
