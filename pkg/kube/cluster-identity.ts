// Which cluster a client asks, told without asking: by the address of its API server and by its authorities.
import { hashOf } from '../ip/hash.ts';
import type { KubeAccess, TlsMaterial } from './kube-access.ts';

/** A bundle of more says nothing of one cluster. */
const MOST_AUTHORITIES = 4;

/** The material is the same object for as long as no file has changed. */
const known = new WeakMap<TlsMaterial, string>();

/**
 * Words with blanks between them: the address, and one for each certificate of the authorities, so that an address may
 * change, an authority be renewed beside the old one, and an agent within the cluster use another address.
 * @throws KubeError Credentials
 */
export function clusterIdentity({ server, tls }: Pick<KubeAccess, 'server' | 'tls'>): string {
  const material = tls();
  const identity = known.get(material) ?? [server, ...authoritiesOf(material)].join(' ');
  known.set(material, identity);
  return identity;
}

function authoritiesOf({ ca = '' }: TlsMaterial): string[] {
  const certificates = ca.replaceAll(/\s/g, '').split('-----ENDCERTIFICATE-----');
  const authorities = certificates.filter((one) => one !== '');
  return authorities.length > MOST_AUTHORITIES
    ? []
    : authorities.map((one) => `ca-${hashOf(one).toString(16)}`);
}

/** True when they have a word in common, and where one is not known. */
export function isSameCluster(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const words = new Set(a.split(' '));
  return b.split(' ').some((word) => words.has(word));
}
