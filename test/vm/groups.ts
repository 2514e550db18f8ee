// All cases of the virtual machine, in the order in which they run there.
import type { VmGroup } from './case.ts';
import { drivers } from './cases/drivers.ts';
import { fixture } from './cases/fixture.ts';
import { hostDevice } from './cases/host-device.ts';
import { kernelVfMoves } from './cases/kernel-vf-moves.ts';
import { kernelVfSettings } from './cases/kernel-vf-settings.ts';
import { macvlan } from './cases/macvlan.ts';
import { models } from './cases/models.ts';
import { pci } from './cases/pci.ts';
import { rdma } from './cases/rdma.ts';
import { sriovDrivers } from './cases/sriov-drivers.ts';
import { sriovKeys, sriovRefusals } from './cases/sriov-keys.ts';
import { sriovRaces } from './cases/sriov-races.ts';
import { sriovStories } from './cases/sriov-stories.ts';
import { sriovStress } from './cases/sriov-stress.ts';
import { sriovTraffic } from './cases/sriov-traffic.ts';

export const VM_GROUPS: readonly VmGroup[] = [
  fixture,
  pci,
  kernelVfSettings,
  kernelVfMoves,
  macvlan,
  drivers,
  sriovKeys,
  sriovRefusals,
  sriovTraffic,
  sriovStories,
  sriovRaces,
  sriovStress,
  sriovDrivers,
  hostDevice,
  rdma,
  models,
];
