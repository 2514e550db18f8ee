// One element of the JSON list of networks asked for (NPWG 4.1.2): every key is checked, every mistake is collected.
import * as v from 'valibot';
import { problemsOf } from '../pkg/cni/config-error.ts';
import { faultOfIfname } from '../pkg/cni/names.ts';
import { isJsonObject } from '../pkg/cni/network-config.ts';
import type { JsonObject } from '../pkg/cni/plugin.ts';
import { canonicalAddress, readAddress } from '../pkg/ip/address.ts';
import { canonicalCidr, readCidr } from '../pkg/ip/cidr.ts';
import { isMulticast, readMac } from '../pkg/ip/mac.ts';
import { isNamespaceName, isObjectName, NAME_RULE } from './kubernetes-name.ts';
import type { Bandwidth, NetworkRequest, PortMapping } from './request.ts';

const matching = (test: (value: string) => boolean, rule: string) =>
  v.pipe(v.string(rule), v.check(test, rule));

const isAddress = (text: string) => readAddress(text) !== undefined;
const isUsableMac = (text: string) => {
  const mac = readMac(text);
  return mac !== undefined && !isMulticast(mac) && mac !== '00:00:00:00:00:00';
};

const PORT_RULE = 'must be an integer from 1 to 65535';
const RATE_RULE = 'must be an integer above 0: bits per second, or bits';
const port = v.pipe(
  v.number(PORT_RULE),
  v.integer(PORT_RULE),
  v.minValue(1, PORT_RULE),
  v.maxValue(65535, PORT_RULE),
);
const rate = v.optional(v.pipe(v.number(RATE_RULE), v.integer(RATE_RULE), v.minValue(1, RATE_RULE)));

const mapping = v.looseObject(
  {
    hostPort: port,
    containerPort: port,
    protocol: v.optional(
      matching((p) => /^(tcp|udp|sctp)$/i.test(p), 'must be TCP, UDP or SCTP'),
      'TCP',
    ),
    hostIP: v.optional(matching((a) => a === '' || isAddress(a), 'must be an IP address')),
  },
  'must be an object with hostPort and containerPort',
);

const limits = v.pipe(
  v.looseObject(
    { ingressRate: rate, ingressBurst: rate, egressRate: rate, egressBurst: rate },
    'must be an object with rates in bits per second',
  ),
  v.check(
    (b) => b.ingressBurst === undefined || b.ingressRate !== undefined,
    'must have ingressRate beside ingressBurst',
  ),
  v.check(
    (b) => b.egressBurst === undefined || b.egressRate !== undefined,
    'must have egressRate beside egressBurst',
  ),
);

const linkName = v.optional(
  matching(
    (name) => faultOfIfname(name) === undefined,
    'must be the name of an interface: 1 to 15 bytes without "/", ":", "%" and white space',
  ),
);

const cniArgs = v.custom<JsonObject>(isJsonObject, 'must be an object');

const ITEM = v.looseObject(
  {
    name: matching(isObjectName, NAME_RULE),
    namespace: v.optional(matching(isNamespaceName, NAME_RULE)),
    interface: linkName,
    /** Multus's old word for `interface`. */
    interfaceRequest: linkName,
    mac: v.optional(matching(isUsableMac, 'must be a MAC address of 6 bytes that one interface can have')),
    ips: v.optional(
      v.array(
        matching(
          (ip) => isAddress(ip) || readCidr(ip) !== undefined,
          'must be an IP address, with or without prefix length',
        ),
        'must be a list of addresses',
      ),
    ),
    'default-route': v.optional(
      v.array(matching(isAddress, 'must be the IP address of a gateway'), 'must be a list of gateways'),
    ),
    portMappings: v.optional(v.array(mapping, 'must be a list of objects')),
    bandwidth: v.optional(limits),
    'infiniband-guid': v.optional(
      matching(
        (g) => /^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/i.test(g),
        'must be a GUID of 8 bytes, as "02:00:00:00:00:00:53:01"',
      ),
    ),
    'cni-args': v.optional(v.nullable(cniArgs)),
    deviceID: v.optional(
      matching((d) => /^[\w.:-]+$/.test(d), 'must be the ID of a device, as "0000:3b:00.2"'),
    ),
    'ipam-claim-reference': v.optional(matching(isObjectName, NAME_RULE)),
  },
  'must be an object with at least "name"',
);

type Item = v.InferOutput<typeof ITEM>;

/** Parses one element. What is wrong with it is added to `problems`, a sentence each; `key` is how they name it. */
export function parseRequestItem(value: unknown, key: string, problems: string[]): NetworkRequest {
  const parsed = v.safeParse(ITEM, value);
  if (!parsed.success) {
    problems.push(...problemsOf(parsed.issues, key).map((problem) => problem.text));
    return { name: '' };
  }
  const item = parsed.output;
  if (item.ips?.length && item['ipam-claim-reference'])
    problems.push(
      `Cannot use '${key}': "ips" and "ipam-claim-reference" exclude each other (NPWG 4.1.2.1.11)`,
    );
  if (item.interface && item.interfaceRequest && item.interface !== item.interfaceRequest)
    problems.push(`Cannot use '${key}': "interface" and "interfaceRequest" name different interfaces`);
  return toRequest(item);
}

function toRequest(item: Item): NetworkRequest {
  const ifname = item.interface ?? item.interfaceRequest;
  const mac = item.mac === undefined ? undefined : readMac(item.mac);
  const gateways = item['default-route']?.map(canonicalAddress);
  const unknownKeys = Object.keys(item).filter((key) => !(key in ITEM.entries) && !/[./]/.test(key));
  return {
    name: item.name,
    ...(item.namespace !== undefined && { namespace: item.namespace }),
    ...(ifname !== undefined && { ifname }),
    ...(mac !== undefined && { mac }),
    ...(item.ips?.length && {
      ips: item.ips.map((ip) => (ip.includes('/') ? canonicalCidr(ip) : canonicalAddress(ip))),
    }),
    ...(gateways && { defaultRoute: gateways }),
    ...(item.portMappings?.length && { portMappings: item.portMappings as readonly PortMapping[] }),
    ...(item.bandwidth && { bandwidth: item.bandwidth as Bandwidth }),
    ...(item['infiniband-guid'] !== undefined && { infinibandGuid: item['infiniband-guid'].toLowerCase() }),
    ...(item['cni-args'] && { cniArgs: item['cni-args'] }),
    ...(item.deviceID !== undefined && { deviceId: item.deviceID }),
    ...(item['ipam-claim-reference'] !== undefined && { ipamClaim: item['ipam-claim-reference'] }),
    ...(unknownKeys.length > 0 && { unknownKeys }),
  };
}
