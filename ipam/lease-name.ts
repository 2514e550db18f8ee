// The name of an IPLease: made of domain and address, so that creating the object is the claim. The schema of the CRD
// (deploy/crds/iplease.yaml) holds the same rule.
import { type Address, formatAddress, readAddress } from '../pkg/ip/address.ts';
import { hashOf } from '../pkg/ip/hash.ts';

/** "10.1.2.3", "fd00--1" (a colon is no part of a name); in a named domain "storage.10.1.2.3". */
export function leaseName(domain: string, address: Address): string {
  const text = nameOfAddress(formatAddress(address));
  return domain === '' ? text : `${domainLabel(domain)}.${text}`;
}

/** The address of a lease of this domain by its name; undefined for a lease of another domain. */
export function addressOfName(domain: string, name: string): Address | undefined {
  const text = domain === '' ? name : name.slice(name.indexOf('.') + 1);
  const address = readAddress(
    text.includes('.') ? text : text.replaceAll('-', ':').replace(/^0::/, '::').replace(/::0$/, '::'),
  );
  return address !== undefined && leaseName(domain, address) === name ? address : undefined;
}

/** A name neither begins nor ends with "-", so "::1" is "0--1" and "fd00::" is "fd00--0". */
const nameOfAddress = (text: string): string =>
  text.replace(/^:/, '0:').replace(/:$/, ':0').replaceAll(':', '-');

/** The domain where it can be a label of a name (RFC 1123), else its hash. Two domains of one hash only wait for each other. */
function domainLabel(domain: string): string {
  const fits = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(domain) && !domain.startsWith('x-');
  return fits ? domain : `x-${hashOf(domain).toString(16).padStart(16, '0')}`;
}
