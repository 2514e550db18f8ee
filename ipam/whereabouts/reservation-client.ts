// The few calls that are made about reservations of Whereabouts.
import type { KubeClient } from '../../pkg/kube/kube-client.ts';
import { ifFound, isKubeError } from '../../pkg/kube/kube-error.ts';
import { THEIR_RESERVATIONS, type TheirReservation } from './objects.ts';

export interface WhereaboutsDeps {
  readonly client: KubeClient;
  /** Where its objects are: that of the kubeconfig's context. */
  readonly namespace: () => Promise<string>;
}

/** @returns false when it changed meanwhile */
export async function letGo(
  client: KubeClient,
  { metadata }: TheirReservation,
  place: { readonly namespace: string; readonly signal?: AbortSignal },
): Promise<boolean> {
  const { name, uid = '', resourceVersion = '', deletionTimestamp } = metadata;
  try {
    await client.patch(
      THEIR_RESERVATIONS,
      name,
      { metadata: { finalizers: null } },
      { ...place, resourceVersion },
    );
    // Somebody has deleted it before: without the finalizer it is gone.
    if (deletionTimestamp === undefined) await client.delete(THEIR_RESERVATIONS, name, { ...place, uid });
    return true;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return true;
    if (isKubeError(error, 'Conflict')) return false;
    throw error;
  }
}

/** Undefined when there is none, or Whereabouts is not installed. */
export const readReservation = (
  client: KubeClient,
  name: string,
  place: { readonly namespace: string; readonly signal?: AbortSignal },
): Promise<TheirReservation | undefined> =>
  ifFound(client.get<TheirReservation>(THEIR_RESERVATIONS, name, place));

/** Undefined where Whereabouts is not installed. */
export const listReservations = (client: KubeClient, namespace: string, signal: AbortSignal) =>
  ifFound(client.list<TheirReservation>(THEIR_RESERVATIONS, { namespace, signal }));

export async function isInstalled(
  { client, namespace }: WhereaboutsDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const nothing = { namespace: await namespace(), fieldSelector: 'metadata.name=none', signal };
  return (await ifFound(client.list(THEIR_RESERVATIONS, nothing))) !== undefined;
}
