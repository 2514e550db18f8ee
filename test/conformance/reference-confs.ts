// Configurations of the reference plugins, and the rows that each is known to fail, with the reason.
import type { JsonObject } from './json.ts';
import type { Kind } from './row.ts';

export interface ReferenceCase {
  readonly type: string;
  readonly kind: Kind;
  readonly conf: JsonObject;
  /** Rows that it fails in every version of the plugins. */
  readonly allow: Readonly<Record<string, string>>;
  /** Rows that only the plugins which speak 1.1.0 are asked, and fail. */
  readonly allowOneOne: Readonly<Record<string, string>>;
  /** Rows that only Debian's older plugins fail. */
  readonly allowOld?: Readonly<Record<string, string>>;
}

const SMALL_RANGE = {
  type: 'host-local',
  ranges: [[{ subnet: '10.88.0.0/29' }]],
  routes: [{ dst: '0.0.0.0/0' }],
};
const BASE = { cniVersion: '1.0.0', name: 'reference' };

const ALL = {
  'version.cniVersion': 'VERSION ignores its input and answers with the newest version of the library',
  'env.bad-container-id-named': 'the message says containerID, not CNI_CONTAINERID',
  'error.cniVersion': 'the error type of the library has no cniVersion',
};

const DELEGATING = {
  'delegate.add-error-del': 'the IPAM plugin is executed again with DEL only when it had succeeded',
  'delegate.late-error-clean': 'the interface stays when an address or a route cannot be set',
};

const LINK_STAYS = { 'delegate.add-error-clean': 'the interface stays in the container when IPAM fails' };
const LINK_STAYS_FULL = { 'lease.exhausted-clean': 'the interface stays in the container when IPAM fails' };

const NO_GC_STATUS = {
  'lease.gc-frees': 'GC is not implemented, and answers success',
  'lease.status-exhausted': 'STATUS of host-local is not implemented, and answers success',
};

const DELEGATING_ONE_ONE = {
  'delegate.route-attributes': 'mtu and advmss of a route are ignored',
  'delegate.gc': 'GC is not implemented, and answers success',
  'delegate.gc-error': 'GC is not implemented, and answers success',
};

const NO_DEVICE = { 'status.device-missing': 'STATUS only asks the IPAM plugin' };

export const REFERENCE_CASES: readonly ReferenceCase[] = [
  {
    type: 'macvlan',
    kind: 'interface',
    conf: { ...BASE, type: 'macvlan', master: 'cnf-up', ipam: SMALL_RANGE },
    allow: { ...ALL, ...DELEGATING, ...LINK_STAYS, ...LINK_STAYS_FULL },
    allowOneOne: { ...NO_GC_STATUS, ...DELEGATING_ONE_ONE, ...NO_DEVICE },
  },
  {
    type: 'host-device',
    kind: 'interface',
    conf: { ...BASE, type: 'host-device', device: 'cnf-up', ipam: SMALL_RANGE },
    allow: {
      ...ALL,
      ...DELEGATING,
      ...LINK_STAYS,
      'del.twice': 'DEL wants to find the interface',
      'del.never-added': 'DEL wants to find the interface',
      'del.interface-gone': 'DEL wants to find the interface',
      'del.netns-deleted': 'DEL wants to open the namespace',
      'delegate.del-without-netns': 'IPAM is asked only after the namespace was opened',
    },
    allowOneOne: { ...DELEGATING_ONE_ONE, ...NO_DEVICE },
    allowOld: {
      'add.failure-changes-nothing': 'the device is moved before its new name is tried, and stays',
    },
  },
  {
    type: 'bridge',
    kind: 'interface',
    conf: { ...BASE, type: 'bridge', bridge: 'cnf-bridge', isGateway: true, ipam: SMALL_RANGE },
    allow: { ...ALL, ...DELEGATING, ...LINK_STAYS, ...LINK_STAYS_FULL },
    allowOneOne: { ...NO_GC_STATUS, ...DELEGATING_ONE_ONE },
  },
  {
    type: 'ptp',
    kind: 'interface',
    conf: { ...BASE, type: 'ptp', ipam: SMALL_RANGE },
    allow: {
      ...ALL,
      ...DELEGATING,
      'add.second-ifname': 'the routes of two pairs in one subnet collide in the container',
    },
    allowOneOne: { ...NO_GC_STATUS, ...DELEGATING_ONE_ONE },
  },
  {
    type: 'host-local',
    kind: 'ipam',
    conf: { ...BASE, type: 'caller', ipam: SMALL_RANGE },
    allow: ALL,
    allowOneOne: NO_GC_STATUS,
  },
  {
    type: 'static',
    kind: 'ipam',
    conf: {
      ...BASE,
      type: 'caller',
      ipam: { type: 'static', addresses: [{ address: '10.88.0.5/24', gateway: '10.88.0.1' }] },
    },
    allow: { ...ALL, 'ipam.check-released': 'it keeps no reservations' },
    allowOneOne: {},
  },
  {
    type: 'tuning',
    kind: 'chained',
    conf: { ...BASE, type: 'tuning', mtu: 1300, mac: '02:00:5e:00:53:07' },
    allow: ALL,
    allowOneOne: {},
  },
];
