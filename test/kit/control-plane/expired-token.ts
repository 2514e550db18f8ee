// A service account token as it is after its end: the shortest that the API server gives lives for ten minutes.
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { API_SERVER_FILES } from './api-server.ts';
import type { Cluster } from './cluster.ts';

const TIMES = ['iat', 'nbf', 'exp'];
const DAY_SECONDS = 86_400;

/** The same token, issued a day earlier. */
export function expiredToken(cluster: Cluster, token: string): string {
  const [header = '', payload = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  for (const name of TIMES) claims[name] = Number(claims[name]) - DAY_SECONDS;
  const contents = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const key = createPrivateKey(
    readFileSync(join(cluster.place.directory, API_SERVER_FILES.serviceAccountKey), 'utf8'),
  );
  const signature = sign('sha256', Buffer.from(contents), { key, dsaEncoding: 'ieee-p1363' });
  return `${contents}.${signature.toString('base64url')}`;
}
