// The drop-in for Whereabouts: manifold-ipam under its name, with its configuration.
import type { Plugin } from '../../pkg/cni/plugin.ts';
import type { IpamConfig } from '../config.ts';
import { createIpam, type IpamDeps } from '../plugin.ts';
import { completeWhereabouts } from './complete.ts';

export const WHEREABOUTS = 'whereabouts';

export const createWhereabouts = (deps: IpamDeps): Plugin<IpamConfig> => ({
  ...createIpam(deps),
  name: WHEREABOUTS,
  summary: 'gives interfaces addresses by a configuration of Whereabouts, each to one pod of the cluster',
  complete: completeWhereabouts,
  dropIn: true,
});
