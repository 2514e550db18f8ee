// Decides what must happen to a pod's interface: compares what is wanted with what is there. Pure.
// ADD applies the plan; CHECK is a plan that comes out empty.
import type { Address, Cidr, Link, LinkChange, Mac, NewMacvlan, Route } from './kernel.ts';

export interface WantedRoute {
  readonly dst: Cidr;
  readonly gateway?: string;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}

export interface WantedSysctl {
  /** Below /proc/sys, with slashes. */
  readonly path: string;
  readonly value: string;
  /** Whether ADD fails without it. What is not required is not compared by CHECK: a later plugin (tuning) may set it. */
  readonly required: boolean;
}

/** What an interface of a pod shall be. What is absent is left as it is. */
export interface WantedInterface {
  readonly name: string;
  readonly mac?: Mac;
  readonly mtu?: number;
  /** Must be, or be made, a macvlan of this shape. */
  readonly macvlan?: NewMacvlan;
  readonly addresses: readonly Cidr[];
  readonly routes: readonly WantedRoute[];
  readonly sysctls: readonly WantedSysctl[];
  /** Wait so long for duplicate address detection before the routes are added; 0 or absent: do not wait. */
  readonly dadTimeoutMs?: number;
}

/** What is there now, all read before the plan is made. */
export interface InterfaceFacts {
  readonly link: Link | undefined;
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
  /** By path; undefined where the kernel has no such file. */
  readonly sysctls: Readonly<Record<string, string | undefined>>;
}

export type Step =
  | { readonly do: 'create-macvlan'; readonly macvlan: NewMacvlan }
  | { readonly do: 'delete-link'; readonly index: number; readonly why: string }
  | { readonly do: 'set-link'; readonly change: LinkChange; readonly undo: LinkChange }
  | { readonly do: 'write-sysctl'; readonly sysctl: WantedSysctl; readonly was: string | undefined }
  | { readonly do: 'add-address'; readonly cidr: Cidr }
  | { readonly do: 'set-up' }
  | { readonly do: 'wait-for-dad'; readonly timeoutMs: number }
  | { readonly do: 'add-route'; readonly route: WantedRoute };

export const NOTHING_THERE: InterfaceFacts = { link: undefined, addresses: [], routes: [], sysctls: {} };

/**
 * The steps, in order, from what is there to what is wanted: the link itself, its settings, sysctls, addresses, up,
 * duplicate address detection, routes (the order of the reference plugins: a route needs its gateway's network).
 */
export function planInterface(want: WantedInterface, have: InterfaceFacts): readonly Step[] {
  const steps: Step[] = [];
  let there = have;
  if (want.macvlan !== undefined) {
    const why = have.link === undefined ? undefined : differenceOfMacvlan(have.link, want.macvlan);
    if (have.link !== undefined && why !== undefined)
      steps.push({ do: 'delete-link', index: have.link.index, why });
    if (have.link === undefined || why !== undefined) {
      steps.push({ do: 'create-macvlan', macvlan: want.macvlan });
      there = { ...NOTHING_THERE, sysctls: have.sysctls };
    }
  }
  if (there.link !== undefined) steps.push(...planLink(want, there.link));
  for (const sysctl of want.sysctls) {
    const was = there.sysctls[sysctl.path];
    if (was !== sysctl.value) steps.push({ do: 'write-sysctl', sysctl, was });
  }
  const present = new Set(there.addresses.map((address) => address.cidr));
  const missing = want.addresses.filter((cidr) => !present.has(cidr));
  for (const cidr of missing) steps.push({ do: 'add-address', cidr });
  if (there.link?.up !== true) steps.push({ do: 'set-up' });
  if (want.dadTimeoutMs && missing.length > 0)
    steps.push({ do: 'wait-for-dad', timeoutMs: want.dadTimeoutMs });
  for (const route of want.routes) {
    if (!there.routes.some((r) => isRoute(r, route))) steps.push({ do: 'add-route', route });
  }
  return steps;
}

function planLink(want: WantedInterface, link: Link): Step[] {
  const steps: Step[] = [];
  if (want.mac !== undefined && want.mac !== link.mac)
    steps.push({
      do: 'set-link',
      change: { mac: want.mac },
      undo: link.mac === undefined ? {} : { mac: link.mac },
    });
  if (want.mtu !== undefined && want.mtu !== link.mtu)
    steps.push({ do: 'set-link', change: { mtu: want.mtu }, undo: { mtu: link.mtu } });
  return steps;
}

/** Why a link is not the macvlan that is wanted, in words; undefined when it is. MAC and MTU are not its business. */
function differenceOfMacvlan(link: Link, want: NewMacvlan): string | undefined {
  if (link.kind !== 'macvlan') return `it is a ${link.kind ?? 'hardware'} link, not a macvlan`;
  if (link.macvlan?.mode !== want.mode)
    return `its macvlan mode is ${link.macvlan?.mode ?? 'unknown'}, not ${want.mode}`;
  if (link.parentIndex !== want.parentIndex)
    return `its parent is the link with index ${link.parentIndex ?? 'none'}, not ${want.parentIndex}`;
  if (want.bcQueueLength !== undefined && link.macvlan.bcQueueLength !== want.bcQueueLength)
    return `its broadcast queue length is ${link.macvlan.bcQueueLength ?? 'unknown'}, not ${want.bcQueueLength}`;
  return undefined;
}

/** A route that names no table may stand in any: a later plugin (sbr, vrf) moves the interface's routes to its own. */
function isRoute(have: Route, want: WantedRoute): boolean {
  return (
    have.dst === want.dst &&
    have.gateway === want.gateway &&
    (want.table === undefined || have.table === want.table) &&
    (want.priority === undefined || have.priority === want.priority) &&
    (want.scope === undefined || have.scope === want.scope) &&
    (want.mtu === undefined || have.mtu === want.mtu) &&
    (want.advmss === undefined || have.advmss === want.advmss)
  );
}

/** What is wrong, or shall be done, in words that name the interface: the text of a failed CHECK. */
export function describeStep(step: Step, name: string): string {
  switch (step.do) {
    case 'create-macvlan':
      return `there is no macvlan ${name}`;
    case 'delete-link':
      return `${name} is another link than the one that ADD made: ${step.why}`;
    case 'set-link':
      return `${name} has ${describeChange(step.undo)}, not ${describeChange(step.change)}`;
    case 'write-sysctl':
      return `${step.sysctl.path} is ${step.was ?? 'missing'}, not ${step.sysctl.value}`;
    case 'add-address':
      return `${name} lacks the address ${step.cidr}`;
    case 'set-up':
      return `${name} is down`;
    case 'wait-for-dad':
      return `an IPv6 address of ${name} is still tentative`;
    case 'add-route':
      return `${name} lacks the route ${describeRoute(step.route)}`;
    default:
      return step satisfies never;
  }
}

function describeChange(change: LinkChange): string {
  const parts = Object.entries(change).map(([key, value]) => `${key} ${String(value)}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function describeRoute(route: WantedRoute): string {
  const via = route.gateway === undefined ? '' : ` via ${route.gateway}`;
  const table = route.table === undefined ? '' : ` table ${route.table}`;
  const metric = route.priority === undefined ? '' : ` metric ${route.priority}`;
  return `${route.dst}${via}${table}${metric}`;
}
