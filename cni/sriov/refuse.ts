// What a configuration asks for and cannot have, as far as that can be known before the first change.
import { readHostNetwork, refuseInUse } from '../../pkg/attach/device-in-use.ts';
import type { AddCall } from '../../pkg/cni/plugin.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import type { Link } from '../../pkg/kernel/kernel.ts';
import { mainNetdev } from '../../pkg/pci/netdev.ts';
import { requestedGuid, type SriovConfig } from './config.ts';
import type { LocatedVf } from './locate.ts';
import type { PhysicalFunction } from './physical-function.ts';
import { refuseInfiniband } from './refuse-infiniband.ts';
import type { SriovDeps } from './retract.ts';
import type { Way } from './set-up.ts';

/** @throws ManifoldError 'bad-config', 'unsupported-field', 'device-held', 'not-found' */
export function refuseImpossible(
  { kernel, sysfs }: SriovDeps,
  call: AddCall<SriovConfig>,
  vf: LocatedVf,
  pf: PhysicalFunction | undefined,
  { door, infiniband, mac }: Way,
): void {
  const { config, log } = call;
  if (infiniband) refuseInfiniband(call, vf, mac, door);
  else refuseGuid(config);
  if (vf.host !== undefined) refuseInUse(call, vf.host.link, readHostNetwork(kernel.host()));
  if (pf !== undefined && door !== undefined) {
    door.read();
    refuseBeyond(config, {
      speedMbps: mainNetdev(sysfs.pci(pf.address)?.netdevs ?? [])?.speedMbps,
      pfName: pf.name,
      link: vf.host?.link,
    });
    if (pf.link()?.running === false)
      log.warn('physical function has no carrier: no traffic passes, and drivers refuse rates', {
        pf: pf.name,
      });
    return;
  }
  refuseMtu(config.mtu, vf.host?.link);
  const keys = keysForPf(config);
  if (keys.length === 0) return;
  if (config.manifold.hypervisorConfigures) {
    log.info('no physical function is seen: left to the hypervisor', { device: vf.pci.address, keys });
    return;
  }
  throw new ManifoldError(
    'unsupported-field',
    `Cannot use '${keys.join("', '")}' for ${vf.pci.address}: only its physical function can set it, and this machine sees none`,
    {
      hint: 'In a virtual machine the hypervisor sets it. If it has, say so: "manifold": {"hypervisorConfigures": true}; the key is then left alone here, and still obeyed on machines with a physical function.',
    },
  );
}

/**
 * The keys that only a physical function can obey, where they ask for more than every virtual function has by default.
 * For a virtual machine, which sees none.
 */
function keysForPf(config: SriovConfig): string[] {
  const asks: readonly (readonly [string, boolean])[] = [
    ['vlan', (config.vlan ?? 0) !== 0],
    ['min_tx_rate', (config.min_tx_rate ?? 0) !== 0],
    ['max_tx_rate', (config.max_tx_rate ?? 0) !== 0],
    ['spoofchk', config.spoofchk === 'off'],
    ['trust', config.trust === 'on'],
    ['link_state', (config.link_state ?? 'auto') !== 'auto'],
  ];
  return asks.filter(([, asked]) => asked).map(([key]) => key);
}

interface Limits {
  /** Of the physical function's link, Mbit/s; undefined while it has no carrier. */
  readonly speedMbps: number | undefined;
  readonly pfName: string;
  /** The virtual function's interface; undefined with a user-space driver. */
  readonly link: Link | undefined;
}

/**
 * What can be known to be refused, before anything is changed.
 * @throws ManifoldError 'bad-config' or 'unsupported-field' naming key and limit
 */
function refuseBeyond(config: SriovConfig, { speedMbps, pfName, link }: Limits): void {
  const { mtu, max_tx_rate: max = 0, min_tx_rate: min = 0 } = config;
  for (const [key, rate] of [
    ['max_tx_rate', max],
    ['min_tx_rate', min],
  ] as const)
    if (speedMbps !== undefined && rate > speedMbps)
      throw new ManifoldError(
        'bad-config',
        `Cannot use '${key}' as it must not be above the speed of ${pfName}, ${speedMbps} Mbit/s: current value is ${rate}`,
      );
  refuseMtu(mtu, link);
}

/** @throws ManifoldError 'bad-config' or 'unsupported-field' */
function refuseMtu(mtu: number, link: Link | undefined): void {
  if (mtu === 0) return;
  if (link === undefined)
    throw new ManifoldError(
      'unsupported-field',
      `Cannot use 'mtu' as a device with a user-space driver has no interface whose MTU could be set: current value is ${mtu}`,
      { hint: 'Leave it out of the network: the application sets it.' },
    );
  if (link.maxMtu !== 0 && mtu > link.maxMtu)
    throw new ManifoldError(
      'bad-config',
      `Cannot use 'mtu' as it must not be above what ${link.name} takes, ${link.maxMtu}: current value is ${mtu}`,
    );
}

/** No InfiniBand link can be reached by these keys. @throws ManifoldError 'unsupported-field' */
function refuseGuid(config: SriovConfig): void {
  if (requestedGuid(config) === undefined) return;
  throw new ManifoldError(
    'unsupported-field',
    `Cannot use '${config.runtimeConfig?.infinibandGUID === undefined ? 'args.cni.guid' : 'runtimeConfig.infinibandGUID'}': the virtual function is not InfiniBand`,
    { hint: 'Take infiniband-guid out of the pod\u2019s request.' },
  );
}
