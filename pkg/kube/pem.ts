// PEM texts (RFC 7468): whether a file holds what it should, said before OpenSSL says something else.
import { X509Certificate } from 'node:crypto';
import { KubeError } from './kube-error.ts';

/** @param label "CERTIFICATE", or "PRIVATE KEY" for any kind of it @throws KubeError Credentials */
export function checkedPem(text: string, label: string, what: string, origin: string): string {
  if (new RegExp(`-----BEGIN ([A-Z0-9]+ )*${label}-----`).test(text)) return text;
  const other = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1];
  const reason = other === undefined ? 'it is no PEM' : `it is a ${other}`;
  throw new KubeError('Credentials', `Cannot use ${what}: ${reason} (${origin})`, {
    hint: `A PEM text with -----BEGIN ${label}----- is wanted, in a key that ends in "-data" encoded as base64.`,
  });
}

/** What a certificate says of itself: undefined when it is none. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly from: Date;
  readonly to: Date;
}

/** Each certificate of a bundle; undefined in the place of one that cannot be read. */
export function readCertificates(text: string): (CertificateFacts | undefined)[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map(readCertificate);
}

function readCertificate(pem: string): CertificateFacts | undefined {
  try {
    const { subject, issuer, validFromDate, validToDate } = new X509Certificate(pem);
    return { subject: oneLine(subject), issuer: oneLine(issuer), from: validFromDate, to: validToDate };
  } catch (error) {
    // OpenSSL refuses it: that is the answer.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

const oneLine = (name: string | undefined): string => (name ?? '').replaceAll('\n', ', ');
