// What an sriov network configuration may say: the keys of sriov-cni, validated.
import * as v from 'valibot';
import { deviceId, ipamKey } from '../../pkg/attach/config-keys.ts';
import { deviceInfoFile } from '../../pkg/attach/device-info.ts';
import { macSchema } from '../../pkg/attach/mac-schema.ts';
import { RDMA_WISHES, type RdmaWish } from '../../pkg/attach/rdma-device.ts';
import { absolutePath, flag, integerFrom, oneOf } from '../../pkg/cni/fields.ts';
import { manifoldEntries } from '../../pkg/cni/manifold-options.ts';
import { isJsonObject } from '../../pkg/cni/network-config.ts';
import type { JsonObject } from '../../pkg/cni/plugin.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { guidSchema } from './guid.ts';

const onOff = oneOf(['on', 'off']);
const rate = integerFrom(0, 0xffffffff);

const keys = v.object({
  /** PCI address of the virtual function. */
  deviceID: v.optional(deviceId),
  /** 0: untagged, and set so. Absent: left as it is. */
  vlan: v.optional(integerFrom(0, 4094)),
  vlanQoS: v.optional(integerFrom(0, 7)),
  vlanProto: v.optional(
    v.pipe(
      v.string('must be a string'),
      v.transform((text) => text.toLowerCase()),
      oneOf(['802.1q', '802.1ad']),
    ),
  ),
  mac: v.optional(macSchema),
  spoofchk: v.optional(onOff),
  trust: v.optional(onOff),
  link_state: v.optional(oneOf(['auto', 'enable', 'disable'])),
  /** Mbit/s; 0: no limit. */
  min_tx_rate: v.optional(rate),
  max_tx_rate: v.optional(rate),
  /** Of the virtual function's interface; 0: as it is. */
  mtu: v.optional(integerFrom(0, 65535), 0),
  /** InfiniBand, keys of ib-sriov-cni. The partition key is a matter of the subnet manager: ib-kubernetes reads it. */
  pkey: v.optional(v.string('must be a string')),
  /** true: as manifold.rdma "exclusive"; false: as "off". */
  rdmaIsolation: v.optional(flag()),
  /** The pod must come with a GUID, from ib-kubernetes. */
  ibKubernetesEnabled: v.optional(flag(), false),
  /** Found out from the driver that is bound. */
  vfioPciMode: v.optional(flag()),
  args: v.optional(
    v.looseObject({
      cni: v.optional(
        v.looseObject({
          guid: v.optional(guidSchema),
          'mellanox.infiniband.app': v.optional(v.string('must be a string')),
        }),
      ),
    }),
  ),
  logLevel: v.optional(oneOf(['panic', 'error', 'warning', 'info', 'debug'])),
  logFile: v.optional(absolutePath()),
  ipam: ipamKey,
  runtimeConfig: v.optional(
    v.object({
      deviceID: v.optional(deviceId),
      mac: v.optional(macSchema),
      infinibandGUID: v.optional(guidSchema),
      CNIDeviceInfoFile: v.optional(deviceInfoFile),
    }),
  ),
  manifold: v.optional(
    v.object({
      ...manifoldEntries,
      /** Take the device although the host uses it (default route, addresses, bridge or bond port). */
      force: v.optional(flag(), false),
      /** In a virtual machine, where no physical function is seen: the hypervisor has set VLAN, rates and the like. */
      hypervisorConfigures: v.optional(flag(), false),
      rdma: v.optional(oneOf(RDMA_WISHES)),
    }),
    {},
  ),
});

/** What one key asks of another. */
export const sriovConfig = v.pipe(
  keys,
  v.forward(
    v.partialCheck(
      [['vlan'], ['vlanQoS']],
      ({ vlan, vlanQoS }) => vlanQoS === undefined || (vlan !== undefined && (vlanQoS === 0 || vlan !== 0)),
      'must be 0 or absent without a VLAN ("vlan")',
    ),
    ['vlanQoS'],
  ),
  v.forward(
    v.partialCheck(
      [['vlan'], ['vlanProto']],
      ({ vlan, vlanProto }) =>
        vlanProto === undefined || (vlan !== undefined && (vlanProto === '802.1q' || vlan !== 0)),
      'must be 802.1q or absent without a VLAN ("vlan")',
    ),
    ['vlanProto'],
  ),
  v.forward(
    v.partialCheck(
      [['min_tx_rate'], ['max_tx_rate']],
      ({ min_tx_rate: min = 0, max_tx_rate: max = 0 }) => max <= 0 || min <= max,
      'must not be above "max_tx_rate"',
    ),
    ['min_tx_rate'],
  ),
);

export type SriovConfig = v.InferOutput<typeof sriovConfig>;

const LEVELS = { panic: 'error', error: 'error', warning: 'warn', info: 'info', debug: 'debug' } as const;

/** The pod's own, then what ib-kubernetes has written into the configuration. */
export const requestedGuid = ({ runtimeConfig, args }: SriovConfig): string | undefined =>
  runtimeConfig?.infinibandGUID ?? args?.cni?.guid;

/** `manifold.rdma` counts before ib-sriov-cni's key. */
export function rdmaWish({ manifold, rdmaIsolation }: SriovConfig): RdmaWish {
  if (manifold.rdma !== undefined) return manifold.rdma;
  if (rdmaIsolation === undefined) return 'auto';
  return rdmaIsolation ? 'exclusive' : 'off';
}

/** sriov-cni's own logging keys put where the frame looks for them, unless that place says something itself. */
export function withLogging(raw: JsonObject): JsonObject {
  const { manifold = {}, logLevel, logFile } = raw;
  if (!isJsonObject(manifold)) return raw;
  const level = v.safeParse(v.picklist(['panic', 'error', 'warning', 'info', 'debug']), logLevel);
  const logging = {
    ...(level.success ? { logLevel: LEVELS[level.output] } : {}),
    // The meta plugin has set where this node's state is: then a definition chooses no file that root writes.
    ...(typeof logFile === 'string' && manifold.stateDir === undefined ? { logFile } : {}),
  };
  return Object.keys(logging).length === 0 ? raw : { ...raw, manifold: { ...logging, ...manifold } };
}

/** @throws ManifoldError 'bad-config' when neither the runtime nor the configuration names the device */
export function requireDevice({ deviceID, runtimeConfig }: SriovConfig): string {
  const device = runtimeConfig?.deviceID ?? deviceID;
  if (device !== undefined) return device;
  throw new ManifoldError(
    'bad-config',
    "Cannot use the network configuration as it names no device: 'deviceID' and 'runtimeConfig.deviceID' are absent",
    {
      hint: 'A device plugin allocates the virtual function: give the definition the annotation k8s.v1.cni.cncf.io/resourceName and let the pod request that resource.',
    },
  );
}
