// The first call of a process has only this machine's clock to go by: its answer tells the time of the API server.
import type { CallOptions, KubeClient } from '../pkg/kube/kube-client.ts';
import { isKubeError } from '../pkg/kube/kube-error.ts';
import { IP_LEASES, type IpLease, type IpLeaseSpec } from './ip-lease.ts';

/** A clock that was off by more than this is put right by a second write. */
const TOLERANCE_MS = 5_000;

/**
 * @param before what was taken for the time when `written` was written, milliseconds since the epoch
 * @param specAt what it is to be by the right time
 * @returns the lease as it is then; a failure only leaves the wrong times
 */
export async function withRightTimes(
  client: KubeClient,
  written: IpLease,
  before: number,
  specAt: (now: number) => IpLeaseSpec,
  options: CallOptions,
): Promise<IpLease> {
  const now = client.now();
  // Without a resourceVersion the write would have no precondition.
  if (Math.abs(now - before) <= TOLERANCE_MS || written.metadata.resourceVersion === undefined)
    return written;
  try {
    return await client.replace<IpLease>(IP_LEASES, { ...written, spec: specAt(now) }, options);
  } catch (error) {
    if (!isKubeError(error)) throw error;
    return written;
  }
}
