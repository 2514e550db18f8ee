// Destinations as the kernel prints them, so that what is wanted and what is there can be compared as text.
import { formatCidr, parseCidr, subnetOf } from '../ip/cidr.ts';

/** Canonical text, host bits cleared. @throws ManifoldError for text that is no address with prefix length */
export const canonicalNetwork = (text: string): string => formatCidr(subnetOf(parseCidr(text)));
