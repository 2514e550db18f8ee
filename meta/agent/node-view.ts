// Whether this process sees the processes of the node: else an ADD under way looks like one that died.
import { readFileSync } from 'node:fs';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';

/** What a container runs as its first process, beside the program itself. */
const CONTAINER_INITS: readonly string[] = ['pause', 'tini', 'dumb-init', 'catatonit', 'docker-init'];

/** @throws ManifoldError 'io' */
export function ensureNodeView(ownPid: number, firstProcess = nameOfFirst()): void {
  if (ownPid !== 1 && !CONTAINER_INITS.includes(firstProcess)) return;
  const why = ownPid === 1 ? 'it is process 1' : `process 1 is ${firstProcess}`;
  throw new ManifoldError(
    'io',
    `Cannot start the agent: it runs among the processes of a container, not of the node (${why})`,
    { hint: 'Run its pod with hostPID: true. An ADD that is under way would look like one that has died.' },
  );
}

const nameOfFirst = (): string => readFileSync('/proc/1/comm', 'utf8').trim();
