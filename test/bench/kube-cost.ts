// What ADD and DEL cost with the cluster's leases: beside Whereabouts, and with many leases beside few.
import type { Command } from './child.ts';
import { run } from './child.ts';
import type { Asked, KubeCommands, KubePlace, Side } from './kube-commands.ts';
import { type Case, interleaved, type Timing } from './timings.ts';

/** Ranges, and what they hold in the cluster with many leases. In the one with few each holds a handful. */
export const RANGES = {
  /** 4,900 leases of ours; nothing of theirs. */
  wide: '10.50.0.0/16',
  /** 5,000 of 8,190. */
  full: '10.60.0.0/19',
  /** 100 of 254. */
  small: '10.70.0.0/24',
  /** Of Whereabouts: nothing, in either. */
  theirs: '10.80.0.0/16',
  /** Of Whereabouts: 5,000. */
  theirFull: '10.90.0.0/16',
} as const;

export const HELD = { few: 4, wide: 4_900, full: 5_000, small: 100, theirFull: 5_000 } as const;

type Caller = (verb: string, asked: Asked) => Command;

/** A pod of its own in each round: its address is claimed, not taken up again. */
function addAndDel(name: string, caller: Caller, place: KubePlace, range: string): Case {
  return {
    name,
    measure(round) {
      const asked = { place, range, pod: `${name.replaceAll(/[^a-z0-9]+/g, '-')}-${round}` };
      return { add: run(caller('ADD', asked)), del: run(caller('DEL', asked)) };
    },
  };
}

export const COST_BASE = 'Go macvlan + whereabouts';

export function measureKubeCost(commands: KubeCommands, place: KubePlace, rounds: number): Timing[] {
  const macvlan = (side: Side) => (verb: string, asked: Asked) => commands.macvlan(side, verb, asked);
  const meta = (networks: number) => (verb: string, asked: Asked) => commands.meta(verb, networks, asked);
  const cases = [
    addAndDel(COST_BASE, macvlan('whereabouts'), place, RANGES.theirs),
    addAndDel('macvlan, a /16 (spread)', macvlan('manifold'), place, RANGES.wide),
    addAndDel('macvlan, a /24 (lowest)', macvlan('manifold'), place, RANGES.small),
    addAndDel('manifold, default + 8', meta(8), place, RANGES.wide),
  ];
  return interleaved(cases, rounds);
}

export interface Scale {
  readonly name: string;
  readonly few: Timing;
  readonly many: Timing;
}

export function measureScale(
  commands: KubeCommands,
  { few, many }: { readonly few: KubePlace; readonly many: KubePlace },
  rounds: number,
): Scale[] {
  const ipam = (side: Side) => (verb: string, asked: Asked) => commands.ipam(side, verb, asked);
  const rows: readonly (readonly [string, Side, string])[] = [
    ['manifold-ipam, /16 with 4,900', 'manifold', RANGES.wide],
    ['manifold-ipam, /24 with 100', 'manifold', RANGES.small],
    ['manifold-ipam, /19 with 5,000', 'manifold', RANGES.full],
    ['whereabouts, a pool with 5,000', 'whereabouts', RANGES.theirFull],
  ];
  const cases = rows.flatMap(([name, side, range]) => [
    addAndDel(`${name}, few`, ipam(side), few, range),
    addAndDel(`${name}, many`, ipam(side), many, range),
  ]);
  const timings = interleaved(cases, rounds);
  return rows.flatMap(([name], index) => {
    const [small, large] = [timings[2 * index], timings[2 * index + 1]];
    return small && large ? [{ name, few: small, many: large }] : [];
  });
}
