// X.509 certificates for tests, in DER by hand: Node makes keys and signatures but no certificates, and a machine that
// runs the tests need not have openssl. RFC 5280; keys are P-256.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

/** PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** Signs a certificate of its own key pair. */
  issue(subject: CertificateSubject): Certificate;
}

export interface CertificateSubject {
  readonly commonName: string;
  /** Kubernetes reads them as groups. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** IPv4. */
  readonly addresses?: readonly string[];
  /** @default an hour ago */
  readonly notBefore?: Date;
  /** @default in a year */
  readonly notAfter?: Date;
}

const HOUR_MS = 3_600_000;

export function createAuthority(commonName: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = distinguishedName({ commonName });
  const extensions = [
    extension('2.5.29.19', sequence(TRUE), true),
    // The bits are keyCertSign and cRLSign.
    extension('2.5.29.15', der(0x03, Buffer.of(1, 0x06)), true),
    extension('2.5.29.14', octets(keyIdentifier(publicKey))),
  ];
  const contents = tbsCertificate({ issuer: name, subject: { commonName }, publicKey, extensions });
  return authorityOf(commonName, { certificate: signed(contents, privateKey), key: privatePem(privateKey) });
}

/** An authority that was made before, in another process maybe. */
export function authorityOf(commonName: string, { certificate, key }: Certificate): Authority {
  const authorityKey = createPrivateKey(key);
  const issuer = distinguishedName({ commonName });
  const identifier = der(0x80, keyIdentifier(createPublicKey(key)));
  return {
    certificate,
    key,
    issue(subject) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = [
        ...(subject.dnsNames ?? []).map((name) => der(0x82, Buffer.from(name))),
        ...(subject.addresses ?? []).map((address) => der(0x87, Buffer.from(address.split('.').map(Number)))),
      ];
      const extensions = [
        extension('2.5.29.19', sequence(), true),
        // serverAuth and clientAuth
        extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
        extension('2.5.29.35', sequence(identifier)),
        ...(names.length > 0 ? [extension('2.5.29.17', sequence(...names))] : []),
      ];
      const contents = tbsCertificate({ issuer, subject, publicKey, extensions });
      return { certificate: signed(contents, authorityKey), key: privatePem(privateKey) };
    },
  };
}

interface Contents {
  readonly issuer: Buffer;
  readonly subject: CertificateSubject;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

function tbsCertificate({ issuer, subject, publicKey, extensions }: Contents): Buffer {
  const { notBefore = new Date(Date.now() - HOUR_MS), notAfter = new Date(Date.now() + 365 * 24 * HOUR_MS) } =
    subject;
  return sequence(
    der(0xa0, der(0x02, Buffer.of(2))), // version 3
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(15)])), // a positive serial number
    signatureAlgorithm(),
    issuer,
    sequence(utcTime(notBefore), utcTime(notAfter)),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
}

function signed(contents: Buffer, key: KeyObject): string {
  const signature = der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', contents, key)]));
  const base64 = sequence(contents, signatureAlgorithm(), signature).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** ecdsa-with-SHA256 */
const signatureAlgorithm = (): Buffer => sequence(oid('1.2.840.10045.4.3.2'));
const TRUE = Buffer.of(0x01, 0x01, 0xff);

function distinguishedName({ commonName, organizations = [] }: CertificateSubject): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    der(0x31, sequence(oid(type), der(0x0c, Buffer.from(value))));
  return sequence(
    ...organizations.map((name) => attribute('2.5.4.10', name)),
    attribute('2.5.4.3', commonName),
  );
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [TRUE] : []), octets(value));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function octets(value: Buffer): Buffer {
  return der(0x04, value);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Buffer.from(bytes));
}

/** Good until 2049: RFC 5280, 4.1.2.5.1. */
function utcTime(date: Date): Buffer {
  return der(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
}

function der(tag: number, value: Buffer): Buffer {
  const bytes: number[] = [];
  for (let left = value.length; left > 0; left >>= 8) bytes.unshift(left & 0xff);
  const length = value.length < 0x80 ? [value.length] : [0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.of(tag, ...length), value]);
}
