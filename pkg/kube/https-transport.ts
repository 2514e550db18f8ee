// The transport over Node's own HTTP/1.1 client, with connections that are kept.
import {
  type ClientRequest,
  type Agent as HttpAgent,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { createSecureContext, getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Logger } from '../log/logger.ts';
import type { KubeAccess, TlsMaterial } from './kube-access.ts';
import { KubeError } from './kube-error.ts';
import { type Transport, WireError, type WireRequest } from './transport.ts';

export interface HttpsTransportOptions {
  readonly userAgent: string;
  /** At once; what comes on top waits. */
  readonly connections: number;
  /** Until a connection stands; TLS on it may take three times as long. */
  readonly connectMs: number;
  readonly log: Logger;
}

export function createHttpsTransport(access: KubeAccess, options: HttpsTransportOptions): Transport {
  const base = new URL(access.server);
  const prefix = base.pathname.replace(/\/+$/, '');
  const agents = agentsOf(access, base, options);
  const established = new WeakSet<object>();

  /** Resolves with the head of the answer. */
  function send(
    asked: WireRequest,
    signal: AbortSignal,
    kind: 'calls' | 'streams',
  ): Promise<{ answer: IncomingMessage; fail: Fail }> {
    const { method, path, accept, contentType, body } = asked;
    const token = access.token();
    const agent = agents.current()[kind];
    return new Promise((resolve, reject) => {
      let sent = false;
      const request = (base.protocol === 'https:' ? tlsRequest : plainRequest)({
        agent,
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port || (base.protocol === 'https:' ? 443 : 80),
        method,
        path: prefix + path,
        headers: {
          Accept: accept,
          'User-Agent': options.userAgent,
          ...(contentType !== undefined && { 'Content-Type': contentType }),
          ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
          ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        },
      });
      const fail: Fail = (error) => asWireError(error, sent, signal);
      const onAbort = () => request.destroy(new Error('ended by the caller'));
      watchConnection(request, options.connectMs, established, () => {
        sent = true;
      });
      request.on('error', (error) => {
        signal.removeEventListener('abort', onAbort);
        reject(fail(error));
      });
      request.on('response', (answer) => {
        answer.on('close', () => signal.removeEventListener('abort', onAbort));
        resolve({ answer, fail });
      });
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      request.end(body);
    });
  }

  return {
    async ask(asked, signal) {
      const { answer, fail } = await send(asked, signal, 'calls');
      try {
        return { ...headOf(answer), body: await textOf(answer) };
      } catch (error) {
        throw fail(error);
      }
    },
    async stream(asked, signal) {
      const { answer, fail } = await send(asked, signal, 'streams');
      return { ...headOf(answer), chunks: chunksOf(answer, fail) };
    },
    dropIdle: () => agents.drop(),
  };
}

type Fail = (error: unknown) => WireError;

interface Agents {
  readonly calls: HttpAgent;
  /** Without a limit: a watch holds its connection for minutes. */
  readonly streams: HttpAgent;
}

/** New agents where a certificate was renewed: connections that stand are used up with the old ones. */
function agentsOf(access: KubeAccess, base: URL, { connections, log }: HttpsTransportOptions) {
  let made: (Agents & { readonly material: TlsMaterial | undefined }) | undefined;
  const make = (material: TlsMaterial | undefined): Agents => {
    const Agent = material === undefined ? PlainAgent : TlsAgent;
    const tls = material === undefined ? {} : tlsOptions(access, material);
    const keep = { keepAlive: true, maxSockets: connections, scheduling: 'lifo' } as const;
    return { calls: new Agent({ ...keep, ...tls }), streams: new Agent({ keepAlive: false, ...tls }) };
  };
  return {
    current(): Agents {
      const material = base.protocol === 'https:' ? access.tls() : undefined;
      if (made !== undefined && made.material === material) return made;
      if (made !== undefined) dropIdle(made.calls);
      if (made === undefined && material?.insecure)
        log.warn('API server is not verified', { server: access.server, namedBy: access.source });
      made = { ...make(material), material };
      return made;
    },
    drop(): void {
      if (made !== undefined) dropIdle(made.calls);
    },
  };
}

function dropIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets))
    for (const socket of sockets ?? []) socket.destroy();
}

function tlsOptions(access: KubeAccess, { ca, cert, key, serverName, insecure }: TlsMaterial) {
  // Node makes its store of about 120 public authorities when a context gets its first own one, only to compare the
  // two: 7 ms of CPU (docs/notes/node-tls.md). Nothing else in our processes uses TLS.
  if (ca !== undefined) setDefaultCACertificates([]);
  try {
    return {
      // Made once, not anew for each connection.
      secureContext: createSecureContext({ ca: ca ?? publicAuthorities(), cert, key, minVersion: 'TLSv1.2' }),
      rejectUnauthorized: !insecure,
      ...(serverName !== undefined && { servername: serverName }),
    };
  } catch (error) {
    throw badMaterial(access, error);
  }
}

/** The host's, as client-go takes them; Node's own where the host has none. */
function publicAuthorities(): string[] {
  const ofHost = getCACertificates('system');
  return ofHost.length > 0 ? ofHost : getCACertificates('bundled');
}

/** OpenSSL's reasons name neither file nor secret. */
function badMaterial({ origins }: KubeAccess, error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const { cert = '', key = '' } = origins;
  const code = String(error.code);
  const message =
    code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
      ? `Cannot use the client certificate: the key is that of another one (${cert} with ${key})`
      : `Cannot use the client certificate: OpenSSL refuses certificate or key, ${code} (${cert} with ${key})`;
  return new KubeError('Credentials', message, { hint: 'Write both anew, from one source.' });
}

/** A handshake may take so many times as long as a connection may. */
const HANDSHAKE = 3;

/**
 * From when on bytes of the request may have left: TLS stands, or a kept connection is used. `request.reusedSocket` does
 * not tell: it is false where a request had to wait, and is given the connection of one that has ended.
 * @param established connections that stand; those that come to are added
 */
function watchConnection(
  request: ClientRequest,
  connectMs: number,
  established: WeakSet<object>,
  standing: () => void,
): void {
  request.on('socket', (socket) => {
    if (established.has(socket)) {
      standing();
      return;
    }
    const limit = (ms: number) =>
      setTimeout(() => {
        request.destroy(Object.assign(new Error(`no connection within ${ms} ms`), { code: 'ETIMEDOUT' }));
      }, ms);
    let timer = limit(connectMs);
    // A kernel answered, so nobody is away: an API server under load takes its time for TLS, and a new attempt would
    // only add to that.
    socket.once('connect', () => {
      clearTimeout(timer);
      timer = limit(HANDSHAKE * connectMs);
    });
    const done = () => clearTimeout(timer);
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
      done();
      established.add(socket);
      standing();
    });
    request.once('close', done);
  });
}

const headOf = ({ statusCode = 0, headers }: IncomingMessage) => ({
  status: statusCode,
  date: headers.date,
  retryAfter: headers['retry-after'],
});

function textOf(answer: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    answer.setEncoding('utf8');
    answer.on('data', (chunk: string) => {
      text += chunk;
    });
    answer.on('end', () => resolve(text));
    // A connection that breaks in the body is no 'end', and not always an 'error'.
    answer.on('error', reject);
    answer.on('aborted', () =>
      reject(Object.assign(new Error('the answer broke off'), { code: 'ECONNRESET' })),
    );
  });
}

async function* chunksOf(answer: IncomingMessage, fail: Fail): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer) yield chunk;
  } catch (error) {
    throw fail(error);
  }
}

function asWireError(error: unknown, sent: boolean, signal: AbortSignal): WireError {
  if (error instanceof WireError) return error;
  const failure = error instanceof Error ? error : new Error(String(error));
  const { code, message } = wordsOf(failure);
  if (signal.aborted)
    return new WireError(sent ? 'no answer' : 'no connection', { fault: 'aborted', sent, code });
  const fault = code !== undefined && isTrustFault(code) ? 'tls' : 'broken';
  return new WireError(message, { fault, sent, code });
}

function wordsOf(failure: Error): { readonly code: string | undefined; readonly message: string } {
  const code = 'code' in failure ? String(failure.code) : undefined;
  // "write EPROTO <thread>:error:<number>:SSL routines:<function>:<reason>:<file>:<line>:"
  const reason = code === 'EPROTO' ? /SSL routines:[^:]*:([^:]+):/.exec(failure.message)?.[1] : undefined;
  if (reason !== undefined)
    return { code: `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`, message: reason };
  return { code, message: messageOf(failure) };
}

/** Of OpenSSL's verification and Node's check of the host's name, and alerts by which the server refuses ours. */
const isTrustFault = (code: string): boolean =>
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|HOSTNAME_MISMATCH|ERR_TLS_CERT_)|^ERR_SSL_.*(_ALERT_|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)/.test(
    code,
  );

/** Happy eyeballs gives an AggregateError without words. */
function messageOf(failure: Error): string {
  const parts =
    failure instanceof AggregateError
      ? failure.errors.map((one: unknown) => (one instanceof Error ? one.message : ''))
      : [failure.message];
  return [...new Set(parts)].join(', ');
}
