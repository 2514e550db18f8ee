// ADD of one interface: record, put the link into the pod, IPAM, addresses and routes, announce, finish.
// Either all of it stands in the end or nothing does.
import type { AddCall } from '../cni/plugin.ts';
import type { CniInterface, CniResult } from '../cni/result.ts';
import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import { canonicalCidr } from '../ip/cidr.ts';
import { applySteps, readInterface } from '../kernel/apply.ts';
import type { Link, Namespace } from '../kernel/kernel.ts';
import { planInterface } from '../kernel/plan.ts';
import type { InterfaceRecord, NodeStore } from '../state/node-store.ts';
import { isSameWriter } from '../state/writer.ts';
import { wantedInterface } from './configure.ts';
import { type AttachDeps, podOf, type StoreLocation } from './deps.ts';
import { configuredDns, interfaceResult } from './interface-result.ts';
import { addIpam, ipamType, refuseCircle } from './ipam.ts';
import { clearLeftovers } from './leftovers.ts';
import { finishRecord, forgetRecord } from './records.ts';
import { type Retract, retractSafely } from './retract.ts';

export interface ManifoldConfig {
  readonly manifold: StoreLocation;
}

export interface Put {
  /**
   * In the pod's namespace, under its final name. Undefined for a device that stays outside (a user-space driver;
   * `saved.outside` is true): addresses are then only reported.
   */
  readonly link: Link | undefined;
  /** Kept in the record for DEL and CHECK. */
  readonly saved: InterfaceRecord['saved'];
  /** What the result says of the interface beyond name, MAC, MTU and sandbox. */
  readonly extra?: Pick<CniInterface, 'pciID' | 'mac'>;
}

/** `S`: what DEL needs, if this process dies right after the first effect. */
export interface Attachable<S extends InterfaceRecord['saved'] = InterfaceRecord['saved']> {
  /** Name of the plugin. */
  readonly plugin: string;
  /** Identity of a device that can have one holder only. */
  readonly device?: string;
  /** Reads what will be changed: called when `device` is this call's alone, and written down before the first change. */
  readonly save: () => S;
  readonly put: (pod: Namespace, saved: S) => Put;
  /** True when a `put` that throws has undone itself: a link under the name is then somebody else's. */
  readonly putUndoesItself: boolean;
  readonly retract: Retract;
}

const ANNOUNCE = { times: 3, carrierMs: 200 };

/**
 * @throws ManifoldError the first cause; everything done before it has been undone (what could not be is logged and
 *   kept in the record, so that DEL finishes it)
 */
export async function attachInterface<S extends InterfaceRecord['saved']>(
  deps: AttachDeps,
  call: AddCall<ManifoldConfig>,
  what: Attachable<S>,
): Promise<CniResult> {
  refuseCircle(call, what.plugin);
  const store = deps.openStore(call.config.manifold);
  const pod = deps.kernel.open(call.netns);
  try {
    await clearLeftovers(deps, store, call, what.plugin, what.retract);
    refuseExisting(call, pod);
    const claim: InterfaceRecord = {
      containerId: call.containerId,
      ifname: call.ifname,
      network: call.network,
      plugin: what.plugin,
      pod: podOf(call.args),
      netns: call.netns,
      netnsId: pod.id,
      ...(what.device === undefined ? {} : { device: what.device }),
      state: 'adding',
      saved: {},
      writer: store.writer,
    };
    deps.step('record');
    const saved = store.transaction(() => {
      // Leftovers are cleared: what stands here now was written since, by a call that was quicker.
      if (store.interfaces.get(claim) !== undefined) throw attachedMeanwhile(claim);
      store.interfaces.claim(claim);
      // Only now is a DEL that had the device sure to be through with it.
      const now = what.save();
      store.interfaces.finish({ ...claim, saved: now });
      return now;
    });
    return await attachRecorded(deps, store, call, what, pod, { ...claim, saved });
  } finally {
    pod.close();
  }
}

async function attachRecorded<S extends InterfaceRecord['saved']>(
  deps: AttachDeps,
  store: NodeStore,
  call: AddCall<ManifoldConfig>,
  what: Attachable<S>,
  pod: Namespace,
  record: InterfaceRecord & { readonly saved: S },
): Promise<CniResult> {
  const type = ipamType(call.raw);
  let put: Put | undefined;
  let ipam: CniResult | undefined;
  let askedIpam = false;
  try {
    deps.step('put');
    put = what.put(pod, record.saved);
    deps.step('ipam');
    askedIpam = type !== undefined;
    ipam = type === undefined ? undefined : await addIpam(call, type);
    deps.step('configure');
    const link = put.link === undefined ? undefined : configureLink(call, pod, put.link, ipam);
    const made: CniInterface = {
      name: call.ifname,
      ...(link?.mac === undefined ? {} : { mac: link.mac }),
      ...(link === undefined ? {} : { mtu: link.mtu }),
      sandbox: call.netns,
      ...put.extra,
    };
    deps.step('finish');
    finishRecord(store, { ...record, saved: put.saved });
    deps.step('announce');
    if (link !== undefined && ipam?.ips !== undefined) {
      const addresses = ipam.ips.map((ip) => canonicalCidr(ip.address));
      for (const text of pod.announce(link.index, addresses, ANNOUNCE))
        call.log.warn('announcement failed', { ifname: call.ifname, reason: text });
    }
    return interfaceResult(made, ipam, configuredDns(call.raw), call.prevResult);
  } catch (error) {
    const current = put === undefined ? record : { ...record, saved: put.saved };
    const { ifname, log } = call;
    const target = { ifname, record: current, storeLost: false, pod, log };
    const own = isOwn(store, record);
    // A link that this call made is its own in any case; a device goes with the record, which another call may have.
    const mayRetract = what.putUndoesItself ? put !== undefined : own;
    const problems = mayRetract ? retractSafely(what.retract, target) : [];
    // A plugin that is not there was not run, and holds nothing.
    const ranIpam = askedIpam && !(ipam === undefined && isManifoldError(error, 'not-found'));
    if (ranIpam && own && type !== undefined) await releaseAfterFailure(call, type);
    for (const text of problems) log.error('could not undo', { ifname, reason: text });
    if (problems.length === 0) forgetRecord(store, record, call.config.manifold.runDir, log);
    throw error;
  }
}

/** Whether the record is still this call's: a DEL, and a newer ADD after it, may have overtaken it. */
function isOwn(store: NodeStore, record: InterfaceRecord): boolean {
  try {
    const now = store.interfaces.get(record);
    return now !== undefined && isSameWriter(now.writer, record.writer);
  } catch (error) {
    // A store that cannot be read must not hide why ADD failed, nor keep it from undoing.
    if (!isManifoldError(error, 'state', 'try-later')) throw error;
    return true;
  }
}

function configureLink(
  call: AddCall<ManifoldConfig>,
  pod: Namespace,
  put: Link,
  ipam: CniResult | undefined,
): Link {
  refuseSmallMtu(call, put, ipam);
  const want = wantedInterface({ name: call.ifname }, ipam);
  const report = (text: string) => call.log.error('could not undo', { ifname: call.ifname, reason: text });
  const place = { parent: pod, pod, name: call.ifname, report };
  applySteps(planInterface(want, readInterface(pod, want)), place, put.index);
  return pod.link({ index: put.index }) ?? put;
}

const IPV6_MIN_MTU = 1280;

/** RFC 8200 section 5. The kernel only takes IPv6 away from such a link, and then says ENOENT. */
function refuseSmallMtu(call: AddCall<ManifoldConfig>, { mtu }: Link, ipam: CniResult | undefined): void {
  const ipv6 = ipam?.ips?.find((ip) => ip.address.includes(':'));
  if (ipv6 === undefined || mtu >= IPV6_MIN_MTU) return;
  throw new ManifoldError(
    'bad-config',
    `Cannot give ${ipv6.address} to ${call.ifname}: IPv6 needs an MTU of at least ${IPV6_MIN_MTU}, and it has ${mtu}`,
    { hint: `Raise the MTU, or take the IPv6 range out of network ${call.network}.` },
  );
}

/**
 * The specification (section 4) asks for the IPAM plugin's DEL when ADD fails, also when its own ADD was what failed.
 * If it fails too, the runtime's DEL comes and asks it again.
 */
async function releaseAfterFailure(call: AddCall<ManifoldConfig>, type: string) {
  try {
    await call.delegates.del(type, call.raw);
  } catch (error) {
    if (!isManifoldError(error)) throw error;
    call.log.error('could not release', { ifname: call.ifname, reason: error.message });
  }
}

function attachedMeanwhile({ ifname, containerId }: InterfaceRecord): ManifoldError {
  return new ManifoldError(
    'try-later',
    `Cannot attach ${ifname} to container ${containerId}: another call is doing it, or has done it, meanwhile`,
    { hint: 'The runtime called ADD twice for one attachment. DEL, then ADD, starts afresh.' },
  );
}

function refuseExisting(call: AddCall<ManifoldConfig>, pod: Namespace): void {
  const link = pod.link({ name: call.ifname });
  if (link === undefined) return;
  throw new ManifoldError(
    'exists',
    `Cannot attach ${call.ifname} to ${call.netns}: an interface of that name is there already (${link.kind ?? 'hardware'}, MAC ${link.mac ?? 'none'})`,
    {
      hint: `Each attachment of a pod needs its own interface name. If an earlier ADD of container ${call.containerId} made it, the runtime must call DEL first.`,
    },
  );
}
