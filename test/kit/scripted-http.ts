// A small HTTP server whose every answer a test writes down beforehand, for faults of the protocol.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificate.ts';

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly atMs: number;
}

/** What becomes of one request. */
export type Step = (answer: ServerResponse, seen: SeenRequest) => void;

export class ScriptedHttp implements AsyncDisposable {
  readonly url: string;
  readonly seen: SeenRequest[] = [];
  /** Connections that were made so far. */
  connections = 0;
  readonly #server: Server;

  private constructor(server: Server, steps: readonly Step[], scheme: string) {
    this.#server = server;
    this.url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', () => {
      this.connections += 1;
    });
    server.on('request', (asked: IncomingMessage, answer: ServerResponse) => {
      let body = '';
      asked.setEncoding('utf8');
      asked.on('data', (chunk: string) => {
        body += chunk;
      });
      asked.on('end', () => {
        const { method = '', url = '', headers } = asked;
        const request = { method, path: url, headers, body, atMs: performance.now() };
        const step = steps[Math.min(this.seen.length, steps.length - 1)];
        this.seen.push(request);
        step?.(answer, request);
      });
    });
  }

  /** The last step answers all that follow, too. @param certificate speaks TLS with it */
  static async start(steps: readonly Step[], certificate?: Certificate): Promise<ScriptedHttp> {
    const server =
      certificate === undefined
        ? createServer()
        : createTlsServer({ cert: certificate.certificate, key: certificate.key });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ScriptedHttp(server, steps, certificate === undefined ? 'http' : 'https');
  }

  /** "POST /api/v1/…", in order. */
  get asked(): string[] {
    return this.seen.map(({ method, path }) => `${method} ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Answers with a body of JSON. */
export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Step =>
  (answer) => {
    answer.writeHead(status, { 'content-type': 'application/json', ...headers });
    answer.end(JSON.stringify(body));
  };

/** Answers with a Status of meta/v1. */
export const refuse = (code: number, reason: string, headers: Record<string, string> = {}): Step =>
  json(
    code,
    { kind: 'Status', status: 'Failure', reason, code, message: `the server says ${reason}` },
    headers,
  );

/** Resets the connection. */
export const reset: Step = (answer) => void answer.socket?.resetAndDestroy();

/** Never answers. */
export const silence: Step = () => undefined;
