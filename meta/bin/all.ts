// The single executable: one file under every program's name.

import { basename } from 'node:path';
import { argv, execPath } from 'node:process';
import { createHostDevice } from '../../cni/host-device/plugin.ts';
import { createMacvlan } from '../../cni/macvlan/plugin.ts';
import { createRdmaPlugin } from '../../cni/rdma/plugin.ts';
import { createSriov } from '../../cni/sriov/plugin.ts';
import { createIpam } from '../../ipam/plugin.ts';
import { createWhereabouts } from '../../ipam/whereabouts/plugin.ts';
import { boot } from './boot.ts';
import { ipamInside } from './ipam-inside.ts';
import { start } from './start.ts';
import { startManifold } from './start-manifold.ts';

const PROGRAMS: Readonly<Record<string, () => Promise<void>>> = {
  macvlan: () => start('macvlan', (deps) => [createMacvlan(deps), ...ipamInside(deps)]),
  'host-device': () => start('host-device', (deps) => [createHostDevice(deps), ...ipamInside(deps)]),
  sriov: () => start('sriov', (deps) => [createSriov(deps), ...ipamInside(deps)]),
  'manifold-ipam': () => start('manifold-ipam', (deps) => [createIpam(deps)]),
  // Installed only by who asks for them: ln dist/bin/manifold /opt/cni/bin/whereabouts
  rdma: () => start('rdma', (deps) => [createRdmaPlugin(deps)]),
  whereabouts: () => start('whereabouts', (deps) => [createWhereabouts(deps)]),
};

/** By the name that it was called by, a symbolic link's too; else by the name of its file; else it is manifold. */
boot(() => {
  const program = PROGRAMS[basename(argv[1] ?? '')] ?? PROGRAMS[basename(execPath)] ?? startManifold;
  void program();
});
