import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { createRdmaPlugin } from '../../cni/rdma/plugin.ts';
import { createSriov } from '../../cni/sriov/plugin.ts';
import type { Plugin } from '../../pkg/cni/plugin.ts';
import { nodeFiles } from '../files.ts';
import { createManifold } from '../plugin.ts';
import { ipamInside } from './ipam-inside.ts';
import type { ProgramDeps } from './program-deps.ts';

/** The meta plugin, and the types that it runs in its own process. @param ownFile the file that runs now */
export function metaAndDelegates(deps: ProgramDeps, ownFile: string): Plugin[] {
  const devices = [createHostDevice(deps), createSriov(deps), createRdmaPlugin(deps)];
  const delegates = [createMacvlan(deps), ...devices, ...ipamInside(deps)];
  const ownTypes = new Set(delegates.flatMap(({ name, dropIn }) => (dropIn ? [] : [name])));
  return [createManifold({ ...deps, ownTypes, ownFile, files: nodeFiles }), ...delegates];
}
