// The versions of Kubernetes that the tests run against, and which of them a run takes.
import { env } from 'node:process';

/** In every run. */
export const NEWEST = '1.37.2';
/** The oldest that is supported: by `make test-oldest`. */
export const OLDEST = '1.34.4';

export type KubernetesVersion = typeof NEWEST | typeof OLDEST;

/** What MANIFOLD_TEST_KUBERNETES asks for: newest, oldest, or one of the two by number. @throws Error for any other */
export function wantedVersion(): KubernetesVersion | undefined {
  const wanted = env.MANIFOLD_TEST_KUBERNETES;
  if (wanted === undefined || wanted === '') return undefined;
  if (wanted === 'newest' || wanted === NEWEST) return NEWEST;
  if (wanted === 'oldest' || wanted === OLDEST) return OLDEST;
  throw new Error(
    `Cannot take Kubernetes ${wanted} (MANIFOLD_TEST_KUBERNETES): pinned are ${NEWEST} and ${OLDEST}`,
  );
}
