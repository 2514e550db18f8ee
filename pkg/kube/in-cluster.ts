// The access that Kubernetes gives to every pod: environment variables and the service account's files.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { changingFile } from './changing-file.ts';
import type { KubeAccess, TlsMaterial } from './kube-access.ts';
import { KubeError } from './kube-error.ts';
import { checkedToken } from './kubeconfig.ts';
import { checkedPem } from './pem.ts';

const DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws KubeError Credentials when this is no pod, or one without a service account */
export function inClusterAccess(
  env: Readonly<Record<string, string | undefined>>,
  directory = DIRECTORY,
): KubeAccess {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT ?? '443';
  if (!host) {
    const message = 'Cannot find the API server: this is no pod (KUBERNETES_SERVICE_HOST is not set)';
    throw new KubeError('Credentials', message, { hint: 'Outside of a pod name a kubeconfig file.' });
  }
  const namedBy = 'the service account of this pod';
  const token = changingFile(join(directory, 'token'), 'the token', namedBy);
  const ca = changingFile(join(directory, 'ca.crt'), 'the certificate authority', namedBy);
  const tokenText = (text: string) => checkedToken(text.trim(), token.path);
  let material: TlsMaterial | undefined;
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    source: 'KUBERNETES_SERVICE_HOST',
    namespace: namespaceOf(directory),
    user: namedBy,
    origins: { ca: ca.path, token: token.path },
    tls() {
      const text = checkedPem(ca.text(), 'CERTIFICATE', 'the certificate authority', ca.path);
      if (material?.ca !== text) material = { ca: text, insecure: false };
      return material;
    },
    token: () => tokenText(token.text()),
    renewToken: (refused) => tokenText(token.again()) !== refused,
  };
}

function namespaceOf(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, 'namespace'), 'utf8').trim() || undefined;
  } catch (error) {
    // Only a projected volume that was written by hand leaves it out, and nobody has to know it.
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
