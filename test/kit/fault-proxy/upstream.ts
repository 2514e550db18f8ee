// The fault proxy's own requests to the real API server, for the user that its client is.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { TLSSocket } from 'node:tls';
import { FRONT_PROXY } from '../control-plane/api-server.ts';
import type { Cluster } from '../control-plane/cluster.ts';

const HOP_BY_HOP = ['connection', 'host', 'keep-alive', 'transfer-encoding', 'upgrade'];

export class Upstream {
  readonly #url: string;
  readonly #plain: Agent;
  /** May say who its user is: a client certificate ends at the proxy. */
  readonly #frontProxy: Agent;

  constructor(cluster: Cluster) {
    const ca = cluster.authority.certificate;
    const { certificate, key } = cluster.authority.issue({ commonName: FRONT_PROXY });
    this.#url = cluster.url;
    this.#plain = new Agent({ ca, keepAlive: true });
    this.#frontProxy = new Agent({ ca, cert: certificate, key, keepAlive: true });
  }

  /** @throws Error where the API server does not answer, or the signal ends the wait for it */
  forward(asked: IncomingMessage, body: Buffer, signal: AbortSignal): Promise<IncomingMessage> {
    const user = certificateUser(asked);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const sent = request(new URL(asked.url ?? '/', this.#url), {
      method: asked.method,
      agent: user === undefined ? this.#plain : this.#frontProxy,
      headers: {
        ...endToEnd(asked.headers),
        ...user,
        // Node sends no length of its own with a DELETE.
        ...(body.length > 0 && { 'content-length': body.length }),
      },
      signal,
    });
    sent.once('response', resolve);
    sent.on('error', reject);
    sent.end(body);
    return promise;
  }

  close(): void {
    this.#plain.destroy();
    this.#frontProxy.destroy();
  }
}

/** Headers that mean the same on the other connection. */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const kept = Object.entries(headers).filter(
    ([name]) => !HOP_BY_HOP.includes(name) && !name.startsWith('x-remote-'),
  );
  return Object.fromEntries(kept);
}

function certificateUser({ socket }: IncomingMessage): Record<string, string | string[]> | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // An attribute that occurs several times is a list.
  const { CN, O } = socket.getPeerCertificate().subject;
  return { 'x-remote-user': CN ?? '', ...(O && { 'x-remote-group': O }) };
}
