import { expect, test } from 'vitest';
import { clusterIdentity, isSameCluster } from './cluster-identity.ts';

const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
const of = (server: string, ca?: string) =>
  clusterIdentity({ server, tls: () => ({ insecure: false, ...(ca !== undefined && { ca }) }) });

test.each([
  [
    'another address, the same authority',
    of('https://a', pem('AA')),
    of('https://b', `\n${pem('AA')}`),
    true,
  ],
  [
    'an authority beside the old one',
    of('https://a', pem('AA')),
    of('https://b', pem('BB') + pem('AA')),
    true,
  ],
  ['the same address, another authority', of('https://a', pem('AA')), of('https://a', pem('BB')), true],
  ['another address and authority', of('https://a', pem('AA')), of('https://b', pem('BB')), false],
  ['another address, no authority', of('https://a'), of('https://b'), false],
  ['one that is not known', undefined, of('https://b'), true],
])('%s', (_, a, b, same) => {
  expect(isSameCluster(a, b)).toBe(same);
  expect(isSameCluster(b, a)).toBe(same);
});
