// Memory: one process alone, and as many ADDs at once as there are pods, each held as it is about to end.
import { type Memory, measureMemory, run } from './child.ts';
import { executable, type Form, type Ipam, reference, script, type World } from './world.ts';

export interface MemoryRow {
  readonly name: string;
  readonly alone: Memory;
  /** All together, megabytes: every page counted once. */
  readonly together: number;
  readonly count: number;
}

export function measureMemories(world: World, plugins: string): MemoryRow[] {
  const rows: readonly (readonly [string, Form, Ipam])[] = [
    ['Go macvlan (its host-local not counted)', reference(plugins), 'host-local'],
    ['macvlan, executable', executable, 'manifold-ipam'],
    ['macvlan, script', script, 'manifold-ipam'],
  ];
  return rows.map(([name, form, ipam]) => {
    const add = (pod: number) => world.macvlan(form, 'ADD', ipam, pod);
    const remove = (pod: number) => run(world.macvlan(form, 'DEL', ipam, pod));
    const [alone = { peak: 0, own: 0, share: 0 }] = measureMemory([add(0)]);
    remove(0);
    const all = measureMemory(world.pods.map((_, pod) => add(pod)));
    for (const pod of world.pods.keys()) remove(pod);
    return { name, alone, together: all.reduce((sum, { share }) => sum + share, 0), count: all.length };
  });
}
