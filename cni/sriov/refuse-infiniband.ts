// What a configuration asks of an InfiniBand virtual function and cannot have, and what it must say for one.
import type { AddCall } from '../../pkg/cni/plugin.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';
import { requestedGuid, type SriovConfig } from './config.ts';
import { guidOfMac, isUsableGuid } from './guid.ts';
import type { LocatedVf } from './locate.ts';
import type { VfDoor } from './vf-door.ts';

/** @throws ManifoldError 'unsupported-field', 'bad-config', 'try-later' */
export function refuseInfiniband(
  call: AddCall<SriovConfig>,
  { pci, host, pf }: LocatedVf,
  mac: string | undefined,
  door: VfDoor | undefined,
): void {
  const { config } = call;
  const keys = keysOfEthernet(config, mac);
  if (keys.length > 0)
    throw new ManifoldError(
      'unsupported-field',
      `Cannot use '${keys.join("', '")}' for ${pci.address}: InfiniBand has no such setting`,
      { hint: 'An InfiniBand virtual function takes link_state, mtu and a GUID.' },
    );
  if (config.ipam?.type === 'dhcp')
    throw new ManifoldError(
      'bad-config',
      `Cannot use 'ipam.type' as the plugin dhcp cannot serve InfiniBand: its messages have no room for a MAC of 20 bytes`,
      { hint: 'Use manifold-ipam.' },
    );
  const wanted = requestedGuid(config);
  if (wanted === undefined) refuseWithoutGuid(call, pci.address, door, guidOfMac(host?.link.mac));
  else if (pf === undefined && !config.manifold.hypervisorConfigures)
    throw new ManifoldError(
      'unsupported-field',
      `Cannot give ${pci.address} the GUID ${wanted}: only its physical function can set it, and this machine sees none`,
      {
        hint: 'In a virtual machine the hypervisor sets it. If it has, say so: "manifold": {"hypervisorConfigures": true}.',
      },
    );
}

/** @param own of its interface; undefined with a user-space driver */
function refuseWithoutGuid(
  { config, network }: AddCall<SriovConfig>,
  address: string,
  door: VfDoor | undefined,
  own: string | undefined,
): void {
  const app = config.args?.cni?.['mellanox.infiniband.app'];
  if (config.ibKubernetesEnabled)
    throw new ManifoldError(
      app === 'configured' ? 'bad-config' : 'try-later',
      `Cannot take ${address} without a GUID: network ${network} has ibKubernetesEnabled, and ib-kubernetes has given the pod none`,
      { hint: 'Is ib-kubernetes running? It writes the GUID into the pod\u2019s network annotation.' },
    );
  const now = own ?? door?.read().portGuid;
  if (now === undefined || isUsableGuid(now)) return;
  throw new ManifoldError('bad-config', `Cannot take ${address}: its GUID is ${now}, which reaches nobody`, {
    hint: 'Ask for one in the pod\u2019s network annotation ("infiniband-guid"), with the capability infinibandGUID in the network, or set it at the physical function: ip link set PF vf N port_guid.',
  });
}

/** Where they ask for what a port without them does not have anyway. */
function keysOfEthernet(config: SriovConfig, mac: string | undefined): string[] {
  const asks: readonly (readonly [string, boolean])[] = [
    ['mac', mac !== undefined],
    ['vlan', (config.vlan ?? 0) !== 0],
    ['min_tx_rate', (config.min_tx_rate ?? 0) !== 0],
    ['max_tx_rate', (config.max_tx_rate ?? 0) !== 0],
    ['spoofchk', config.spoofchk === 'on'],
    ['trust', config.trust === 'on'],
  ];
  return asks.filter(([, asked]) => asked).map(([key]) => key);
}
