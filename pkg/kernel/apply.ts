// Does what plan.ts decided, and can undo what was done. Knows nothing of why.
import type { Namespace } from './kernel.ts';
import type { InterfaceFacts, Step, WantedInterface } from './plan.ts';
import { describeStep } from './plan.ts';

export interface Place {
  /** Where a macvlan's parent lives: the host's namespace, or the pod's. */
  readonly parent: Namespace;
  /** Where the interface lives. */
  readonly pod: Namespace;
  readonly name: string;
  /** Told what could not be undone after a failure. */
  readonly report?: (text: string) => void;
}

export interface Applied {
  /** Index of the interface in the pod's namespace. */
  readonly index: number;
  /** Undoes every step in reverse; goes on when one fails. @returns what could not be undone, in words */
  undo(): string[];
}

/** Undone for nothing where the link itself was made by this plan: deleting it takes them along. */
const DIES_WITH_LINK: ReadonlySet<Step['do']> = new Set(['set-link', 'add-address', 'set-up']);

/** Reads all that planInterface needs to know. Missing link: no addresses, no routes. */
export function readInterface(pod: Namespace, want: WantedInterface): InterfaceFacts {
  const link = pod.link({ name: want.name });
  const sysctls: Record<string, string | undefined> = {};
  for (const { path } of want.sysctls) sysctls[path] = pod.readSysctl(path);
  if (link === undefined) return { link, addresses: [], routes: [], sysctls };
  return {
    link,
    addresses: want.addresses.length === 0 ? [] : pod.addresses(link.index),
    routes: want.routes.length === 0 ? [] : pod.routes().filter((route) => route.index === link.index),
    sysctls,
  };
}

/**
 * Runs the steps in order. When one fails, those done are undone in reverse, and the failure is thrown as it came.
 * @param index the interface, when it is there already
 */
export function applySteps(steps: readonly Step[], place: Place, index?: number): Applied {
  const done: (() => void)[] = [];
  let current = index;
  let made = false;
  const at = (): number => {
    current ??= place.pod.link({ name: place.name })?.index;
    if (current === undefined) throw new Error(`no interface ${place.name} to work on`);
    return current;
  };
  const undo = (): string[] => {
    const failures: string[] = [];
    for (const inverse of done.splice(0).reverse()) {
      try {
        inverse();
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    return failures;
  };
  for (const step of steps) {
    try {
      const inverse = applyStep(step, place, at, (made) => {
        current = made;
      });
      if (inverse !== undefined && !(made && DIES_WITH_LINK.has(step.do))) done.push(inverse);
      if (step.do === 'create-macvlan') made = true;
    } catch (error) {
      for (const text of undo()) place.report?.(text);
      throw error;
    }
  }
  return { index: at(), undo };
}

/** @returns the inverse, or undefined where the step leaves nothing that outlives the interface */
function applyStep(
  step: Step,
  { parent, pod, name }: Place,
  at: () => number,
  created: (index: number) => void,
): (() => void) | undefined {
  switch (step.do) {
    case 'create-macvlan': {
      const { index } = parent.createMacvlan(step.macvlan, pod);
      created(index);
      return () => pod.deleteLinks([index]);
    }
    case 'delete-link':
      pod.deleteLinks([step.index]);
      return undefined;
    case 'set-link': {
      const index = at();
      pod.setLink(index, step.change);
      return () => pod.setLink(index, step.undo);
    }
    case 'write-sysctl': {
      const { path, value, required } = step.sysctl;
      if (!required && step.was === undefined && pod.readSysctl(path) === undefined) return undefined;
      try {
        pod.writeSysctl(path, value);
      } catch (error) {
        if (required) throw error;
        return undefined; // arp_notify and its like make things faster, nothing depends on them
      }
      // A sysctl of the interface goes with it; one of "lo" or "all" stays.
      const { was } = step;
      if (was === undefined || path.includes(`/${name}/`)) return undefined;
      return () => pod.writeSysctl(path, was);
    }
    case 'add-address': {
      const index = at();
      pod.addAddress(index, { cidr: step.cidr });
      return () => {
        if (pod.link({ index }) !== undefined) pod.removeAddress(index, step.cidr);
      };
    }
    case 'set-up': {
      const index = at();
      pod.setLink(index, { up: true });
      return () => {
        if (pod.link({ index }) !== undefined) pod.setLink(index, { up: false });
      };
    }
    case 'wait-for-dad':
      pod.waitForDad(at(), step.timeoutMs);
      return undefined;
    case 'add-route':
      pod.addRoute({ ...step.route, index: at() });
      return undefined; // dies with its address or link, both undone
    default:
      return step satisfies never;
  }
}

/** The text of a failed CHECK: every difference, in the order of the plan. */
export function describeDifferences(steps: readonly Step[], name: string): string {
  return steps.map((step) => describeStep(step, name)).join('; ');
}
