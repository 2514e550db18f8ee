// One request to an API server, by plain node:https: the fixture stands on nothing that it helps to test.
import { request } from 'node:https';

export type Credential =
  | { readonly token: string }
  /** A path, read again by clients when the token is renewed. */
  | { readonly tokenFile: string }
  /** PEM. */
  | { readonly certificate: string; readonly key: string };

export interface ApiRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** @default application/json */
  readonly contentType?: string;
  /** @default application/json */
  readonly accept?: string;
  readonly credential?: Exclude<Credential, { tokenFile: string }>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** The text as JSON; undefined where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: an answer has any shape, and only tests look into it
  readonly body: any;
}

/** Any answer is a result, also one that refuses. @throws Error where no answer came */
export function apiRequest(url: string, ca: string, asked: ApiRequest): Promise<ApiAnswer> {
  const { method, path, body, contentType = 'application/json', accept = 'application/json' } = asked;
  const { credential } = asked;
  const text = body === undefined ? '' : JSON.stringify(body);
  const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();
  const sent = request(new URL(path, url), {
    method,
    ca,
    ...(credential && 'key' in credential && { cert: credential.certificate, key: credential.key }),
    headers: {
      accept,
      ...(credential && 'token' in credential && { authorization: `Bearer ${credential.token}` }),
      // Without a length Node sends the body of a DELETE unframed: the server takes it for the next request.
      ...(text !== '' && { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }),
    },
  });
  sent.once('error', reject);
  sent.once('response', (answer) => {
    answer.setEncoding('utf8');
    let received = '';
    answer.on('data', (chunk) => {
      received += chunk;
    });
    answer.once('error', reject);
    answer.once('end', () => {
      const isJson = answer.headers['content-type']?.includes('json') ?? false;
      const status = answer.statusCode ?? 0;
      resolve({ status, text: received, body: isJson ? JSON.parse(received) : undefined });
    });
  });
  sent.end(text);
  return promise;
}
