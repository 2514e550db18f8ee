// What to do about a connection that does not come about, or credentials that the API server does not take.
import type { KubeAccess } from './kube-access.ts';
import { readCertificates } from './pem.ts';
import type { WireError } from './transport.ts';

/** For a 401. */
export function renewalHint({ origins, source }: KubeAccess): string {
  const { token, cert } = origins;
  if (token !== undefined && !token.includes(': '))
    return `The token in ${token} has ended or is of another cluster. What writes the file has to renew it before it ends: the kubelet for a pod's own, else whatever made it (kubectl create token).`;
  if (token !== undefined)
    return `The token in ${token} has ended or is of another cluster: write the file anew, or name a tokenFile that is renewed.`;
  if (cert !== undefined)
    return `The client certificate in ${cert} has ended, or is signed by an authority that the API server does not know: write it anew.`;
  return `No credentials are named by ${source}: add a token, a tokenFile or a client certificate.`;
}

/** What answers need not be the API server: a proxy may show the request that it did not like. */
export function withoutToken(text: string, access: KubeAccess): string {
  const token = access.token();
  return token === undefined ? text : text.replaceAll(token, '(token)');
}

export interface WireHint {
  readonly reason: string;
  readonly hint: string;
}

export function wireHint(error: WireError, access: KubeAccess): WireHint {
  if (error.fault === 'tls') return tlsHint(error.code ?? '', access);
  const reason = 'it cannot be reached';
  const where = `the address ${access.server} comes from ${access.source}`;
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        reason,
        hint: `The host's name cannot be resolved on this node (/etc/resolv.conf); ${where}.`,
      };
    case 'ECONNREFUSED':
      return { reason, hint: `Nothing listens there: the API server is down or elsewhere; ${where}.` };
    default:
      return {
        reason,
        hint: `Repeat the call when the API server answers (kubectl get --raw /readyz); ${where}.`,
      };
  }
}

function tlsHint(code: string, access: KubeAccess): WireHint {
  const { origins, source } = access;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return {
      reason: "the API server's certificate is not valid at this time",
      hint: `Renew the API server's certificate, or set this node's clock (now ${new Date().toISOString()}).`,
    };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return {
      reason: "the API server's certificate is for other names",
      hint: `Use one of its names in the address, or set tls-server-name of the cluster (${source}).`,
    };
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code))
    return {
      reason: 'what listens there does not speak TLS',
      hint: `Correct the address or its port (${source}).`,
    };
  if (/_ALERT_/.test(code))
    return {
      reason: 'the server refuses our client certificate or our TLS',
      hint: `Write the client certificate anew (${origins.cert ?? source}).`,
    };
  return {
    reason: "the API server's certificate is signed by an authority that we do not know",
    hint: authorityHint(access),
  };
}

function authorityHint({ origins, source, tls }: KubeAccess): string {
  const { ca } = tls();
  if (ca === undefined) return `Name the cluster's authority as certificate-authority-data (${source}).`;
  const known = readCertificates(ca);
  if (known.length === 0 || known.includes(undefined))
    return `A certificate in ${origins.ca} cannot be read: write it anew.`;
  const ended = known.find((one) => one !== undefined && one.to.getTime() < Date.now());
  if (ended !== undefined)
    return `The authority in ${origins.ca} (${ended.subject}) has ended on ${ended.to.toISOString()}: write the new one there.`;
  const names = known.map((one) => one?.subject).join('; ');
  return `The authority in ${origins.ca} (${names}) is of another cluster, or was renewed: copy the cluster's own there.`;
}
