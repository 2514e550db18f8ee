// CHECK: every attachment of the call by its own network, then the default route. Not the default network alone.
import { describePod, podOf } from '../pkg/attach/deps.ts';
import type { CheckCall } from '../pkg/cni/plugin.ts';
import type { CniResult } from '../pkg/cni/result.ts';
import { checkList } from '../pkg/cni/run-list.ts';
import { isManifoldError, ManifoldError } from '../pkg/errors/manifold-error.ts';
import type { AttachmentRecord } from '../pkg/state/node-store.ts';
import { type MetaConfig, refuseUnsupported } from './config.ts';
import { checkDefaultRoute } from './default-route-apply.ts';
import type { MetaDeps } from './deps.ts';
import { attachmentsOfCall, defaultRouteOf, listOfRecord, placeOf, resultOfRecord } from './journal.ts';
import { searchPath } from './ourselves.ts';

/** @throws ManifoldError with the first difference in its message and the others in its hint, each with its network */
export async function check(deps: MetaDeps, call: CheckCall<MetaConfig>): Promise<void> {
  refuseUnsupported(call.raw);
  const store = deps.openStore(call.config.manifold);
  const records = attachmentsOfCall(store, call);
  const pod = describePod(podOf(call.args), call.containerId);
  if (records.length === 0) {
    throw new ManifoldError(
      'check-failed',
      `Cannot check ${pod}: nothing is recorded for its interface ${call.ifname}`,
      {
        hint: 'It was never added, or was deleted since.',
      },
    );
  }
  const failures: ManifoldError[] = [];
  for (const record of records) {
    const failure = await checkRecord(call, record, pod);
    if (failure !== undefined) failures.push(failure);
  }
  const chosen = records.find((record) => defaultRouteOf(record) !== undefined);
  const fault = chosen && faultOfDefaultRoute(deps, call, chosen);
  if (fault)
    failures.push(
      new ManifoldError('check-failed', `Cannot find the default route of ${pod} as it was made: ${fault}`),
    );
  const [first, ...others] = failures;
  if (first === undefined) return;
  const hint = [first.hint, ...others.map((one) => one.message)]
    .filter((text) => text !== undefined)
    .join('; ');
  throw new ManifoldError(first.code, first.message, {
    ...(hint !== '' && { hint }),
    ...(first.cniCode !== undefined && { cniCode: first.cniCode }),
  });
}

async function checkRecord(
  call: CheckCall<MetaConfig>,
  record: AttachmentRecord,
  pod: string,
): Promise<ManifoldError | undefined> {
  const differs = (reason: string, error?: ManifoldError) =>
    new ManifoldError(
      error?.code ?? 'check-failed',
      `Cannot confirm network ${record.network} (${record.ifname}) of ${pod}: ${reason}`,
      {
        ...(error?.hint !== undefined && { hint: error.hint }),
        ...(error?.cniCode !== undefined && { cniCode: error.cniCode }),
      },
    );
  if (record.state !== 'added') return differs(`its ADD never finished (state "${record.state}")`);
  const place = placeOf(record, call.netns, searchPath(call.config.binDir, call.path));
  try {
    await checkList(listOfRecord(record), place, call.delegates, expectedResult(call, record));
    return undefined;
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    return differs(error.message, error);
  }
}

/** The runtime's prevResult is the default network's, with what plugins after manifold in a list have changed. */
function expectedResult(call: CheckCall<MetaConfig>, record: AttachmentRecord): CniResult {
  return record.ifname === call.ifname ? call.prevResult : (resultOfRecord(record) ?? {});
}

function faultOfDefaultRoute(
  deps: MetaDeps,
  call: CheckCall<MetaConfig>,
  record: AttachmentRecord,
): string | undefined {
  const wish = { ifname: record.ifname, gateways: defaultRouteOf(record) ?? [] };
  try {
    return checkDefaultRoute(deps.kernel, call.netns, wish);
  } catch (error) {
    if (!isManifoldError(error, 'not-found', 'bad-netns')) throw error;
    return error.message;
  }
}
