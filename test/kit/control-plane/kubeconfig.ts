// A kubeconfig for one user of one server, as kubectl and client-go read it.
import { stringify } from 'yaml';
import type { Credential } from './api-request.ts';

export interface KubeconfigServer {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** The name to look for in the server's certificate. */
  readonly tlsServerName?: string;
}

export function kubeconfig(server: KubeconfigServer, credential: Credential): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: {
          server: server.url,
          'certificate-authority-data': base64(server.ca),
          ...(server.tlsServerName !== undefined && { 'tls-server-name': server.tlsServerName }),
        },
      },
    ],
    users: [{ name: 'test', user: user(credential, base64) }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}

function user(credential: Credential, base64: (text: string) => string): Record<string, string> {
  if ('token' in credential) return { token: credential.token };
  if ('tokenFile' in credential) return { tokenFile: credential.tokenFile };
  return {
    'client-certificate-data': base64(credential.certificate),
    'client-key-data': base64(credential.key),
  };
}
