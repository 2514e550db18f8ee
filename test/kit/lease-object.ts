// Objects of ipam.manifold.dev as tests write them, over the raw API.
import { type IpLease, type IpLeaseSpec, newIpLease } from '../../ipam/ip-lease.ts';
import { leaseName } from '../../ipam/lease-name.ts';
import { parseAddress } from '../../pkg/ip/address.ts';

export const LEASES_PATH = '/apis/ipam.manifold.dev/v1/ipleases';
export const POOLS_PATH = '/apis/ipam.manifold.dev/v1/ippools';

const TIME = '2026-01-02T03:04:05.678Z';

/** What a freed lease has beside a held one. */
export const RESTING = { phase: 'Resting', released: TIME, until: '2026-01-02T03:05:05.678Z' } as const;

/** A good one, held by pod a/p of node n1, under its right name. */
export function leaseObject(change: Partial<IpLeaseSpec> = {}): IpLease {
  const spec: IpLeaseSpec = {
    address: '10.1.0.2',
    subnet: '10.1.0.0/16',
    domain: '',
    network: 'rail0',
    node: 'n1',
    phase: 'Held',
    owner: { podNamespace: 'a', podName: 'p', uid: 'u1', interface: 'net1', containerID: 'c1' },
    acquired: TIME,
    renewed: TIME,
    ...change,
  };
  return newIpLease(leaseName(spec.domain, parseAddress(spec.address)), spec);
}

export function poolObject(spec: object, name = 'pool'): object {
  return { apiVersion: 'ipam.manifold.dev/v1', kind: 'IPPool', metadata: { name }, spec };
}

/** What the API server answers to an object that it refuses. */
export interface RefusalBody {
  readonly message: string;
  readonly details?: { readonly causes?: readonly { readonly field: string; readonly message: string }[] };
}

/** [field, message] of each rule that refused. */
export const causesOf = ({ details, message }: RefusalBody): [string, string][] =>
  (details?.causes ?? [{ field: '-', message }])
    // What the API server adds to any other cause.
    .filter((cause) => !cause.message.includes('some validation rules were not checked'))
    .map((cause) => [cause.field, cause.message]);
