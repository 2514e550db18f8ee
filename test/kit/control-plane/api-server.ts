// How kube-apiserver is started: the files it needs, and its flags. As kubeadm does it where that matters to us: RBAC,
// the node authorizer, NodeRestriction, the admission plugins that are on by default, service account tokens.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority } from '../certificate.ts';
import { apiRequest } from './api-request.ts';
import { AUTHORITY_NAME, type ClusterPlace } from './cluster.ts';

/** Names in the directory of the control plane. */
export const API_SERVER_FILES = {
  ca: 'ca.crt',
  caKey: 'ca.key',
  certificate: 'kube-apiserver.crt',
  key: 'kube-apiserver.key',
  serviceAccountKey: 'service-account.key',
  tokens: 'tokens.csv',
  auditPolicy: 'audit-policy.json',
  auditLog: 'audit.log',
} as const;

/** Common name of the one client that may say who its user is: the fault proxy. */
export const FRONT_PROXY = 'manifold-test-front-proxy';

export function writeApiServerFiles(place: ClusterPlace): void {
  const authority = createAuthority(AUTHORITY_NAME);
  const serving = authority.issue({
    commonName: 'kube-apiserver',
    dnsNames: ['localhost', 'kubernetes.default.svc'],
    addresses: ['127.0.0.1', '10.96.0.1'],
  });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files: Readonly<Record<keyof typeof API_SERVER_FILES, string>> = {
    ca: authority.certificate,
    caKey: authority.key,
    certificate: serving.certificate,
    key: serving.key,
    // PKCS #8 is refused for the file that public keys are read from.
    serviceAccountKey: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    tokens: `${place.adminToken},admin,u-admin,"system:masters"\n`,
    auditPolicy: JSON.stringify({
      apiVersion: 'audit.k8s.io/v1',
      kind: 'Policy',
      omitStages: ['RequestReceived', 'ResponseStarted'],
      rules: [{ level: 'Metadata' }],
    }),
    auditLog: '',
  };
  for (const [name, file] of Object.entries(API_SERVER_FILES))
    writeFileSync(join(place.directory, file), files[name as keyof typeof files], { mode: 0o600 });
}

export function apiServerFlags(place: ClusterPlace): string[] {
  const path = (name: keyof typeof API_SERVER_FILES): string => join(place.directory, API_SERVER_FILES[name]);
  return [
    ...['--etcd-servers', place.etcdUrl],
    ...['--bind-address', '127.0.0.1', '--advertise-address', '127.0.0.1'],
    ...['--secure-port', new URL(place.url).port],
    ...['--endpoint-reconciler-type', 'none'],
    ...['--cert-dir', place.directory],
    ...['--tls-cert-file', path('certificate'), '--tls-private-key-file', path('key')],
    ...['--client-ca-file', path('ca')],
    ...['--requestheader-client-ca-file', path('ca'), '--requestheader-allowed-names', FRONT_PROXY],
    ...[
      '--requestheader-username-headers',
      'X-Remote-User',
      '--requestheader-group-headers',
      'X-Remote-Group',
    ],
    ...['--token-auth-file', path('tokens')],
    ...['--service-account-issuer', 'https://kubernetes.default.svc'],
    ...['--service-account-key-file', path('serviceAccountKey')],
    ...['--service-account-signing-key-file', path('serviceAccountKey')],
    ...['--service-cluster-ip-range', '10.96.0.0/16'],
    ...['--authorization-mode', 'Node,RBAC'],
    ...['--enable-admission-plugins', 'NodeRestriction'],
    '--allow-privileged',
  ];
}

export function auditFlags({ directory }: ClusterPlace): string[] {
  return [
    ...['--audit-policy-file', join(directory, API_SERVER_FILES.auditPolicy)],
    ...['--audit-log-path', join(directory, API_SERVER_FILES.auditLog)],
    // Written before the request is answered, so that a test that has its answer can read it.
    ...['--audit-log-mode', 'blocking-strict'],
  ];
}

/** All its post-start hooks are done: the roles of RBAC are there. */
export async function isServing({ url, adminToken }: ClusterPlace, ca: string): Promise<boolean> {
  try {
    const { status } = await apiRequest(url, ca, {
      method: 'GET',
      path: '/readyz',
      credential: { token: adminToken },
    });
    return status === 200;
  } catch (error) {
    if (error instanceof Error && 'code' in error && NOT_YET.includes(`${error.code}`)) return false;
    throw error;
  }
}

const NOT_YET = ['ECONNREFUSED', 'ECONNRESET'];
