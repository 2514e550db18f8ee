// The versions of Kubernetes that the tests run against, and which of them a run takes.
import { env } from 'node:process';

/** In every run. */
export const NEWEST = '1.37.2';
/** The oldest that is supported: by `make test-oldest`. */
export const OLDEST = '1.34.4';

export type KubernetesVersion = typeof NEWEST | typeof OLDEST;

/** What MANIFOLD_TEST_KUBERNETES asks for. @throws Error where it names a version that is not pinned here */
export function wantedVersion(): KubernetesVersion | undefined {
  const wanted = env.MANIFOLD_TEST_KUBERNETES;
  if (wanted === undefined || wanted === '') return undefined;
  const version = ([NEWEST, OLDEST] as const).find((known) => known === wanted);
  if (version !== undefined) return version;
  throw new Error(
    `Cannot take Kubernetes ${wanted} (MANIFOLD_TEST_KUBERNETES): pinned are ${NEWEST} and ${OLDEST}`,
  );
}
