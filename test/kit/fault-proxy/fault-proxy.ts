// A proxy between a client and the API server that does to each request what a test says, and records all of them. It
// runs in the test's process: what calls the client must not block the event loop (no execFileSync).
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from '../certificate.ts';
import type { Credential } from '../control-plane/api-request.ts';
import type { Cluster } from '../control-plane/cluster.ts';
import { type Fault, type Rule, Rules, statusBody } from './fault.ts';
import { Gate, type GateMode } from './gate.ts';
import { endToEnd, Upstream } from './upstream.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly fault: Fault['kind'];
  /** Milliseconds of performance.now(). */
  readonly startedMs: number;
  /** What the API server answered; undefined until it does. */
  serverStatus?: number;
  /** What the client was sent; undefined while, and where, it was sent nothing. */
  status?: number;
  /** Of the body that the client was sent so far. */
  bytes: number;
}

export class FaultProxy implements AsyncDisposable {
  readonly url: string;
  /** Every request, in the order in which they came in whole. */
  readonly requests: RecordedRequest[] = [];
  readonly #cluster: Cluster;
  readonly #rules = new Rules();
  readonly #gate: Gate;
  readonly #server: Server;
  readonly #upstream: Upstream;

  private constructor(cluster: Cluster, gate: Gate, server: Server) {
    this.url = `https://127.0.0.1:${gate.port}`;
    this.#cluster = cluster;
    this.#gate = gate;
    this.#server = server;
    this.#upstream = new Upstream(cluster);
    // Rejects for a fault of its own only, which the test runner then shows.
    server.on('request', (asked, answer) => void this.#serve(asked, answer));
  }

  /** @param certificate what it shows; by default a good one for 127.0.0.1, signed as the API server's */
  static async start(cluster: Cluster, certificate?: Certificate): Promise<FaultProxy> {
    const subject = { commonName: 'fault-proxy', dnsNames: ['localhost'], addresses: ['127.0.0.1'] };
    const { certificate: cert, key } = certificate ?? cluster.authority.issue(subject);
    const ca = cluster.authority.certificate;
    const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false });
    const gate = await Gate.open((socket) => server.emit('connection', socket));
    return new FaultProxy(cluster, gate, server);
  }

  /** Path of a kubeconfig whose server is this proxy. */
  kubeconfig(credential?: Credential): string {
    return this.#cluster.kubeconfig(credential, { url: this.url });
  }

  /** From now on. Of several rules that apply to a request, the first wins. */
  inject(rule: Rule): void {
    this.#rules.add(rule);
  }

  /** No rules, no records, open. */
  async clear(): Promise<void> {
    this.#rules.clear();
    this.requests.length = 0;
    await this.#gate.set('open');
  }

  /** The whole server: refuses connections (and resets those that are), or accepts and never answers. */
  setMode(mode: GateMode): Promise<void> {
    return this.#gate.set(mode);
  }

  async close(): Promise<void> {
    await this.#gate.set('refuse');
    this.#server.close();
    this.#upstream.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #serve(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const gone = new AbortController();
    answer.once('close', () => gone.abort());
    try {
      const body = await buffer(asked);
      if (this.#gate.mode !== 'open') return; // a connection that the black hole swallowed
      const { method = '', url = '/' } = asked;
      const { pathname: path, searchParams: query } = new URL(url, this.url);
      const fault = this.#rules.faultOf(method, url);
      const record: RecordedRequest = {
        ...{ method, path, query, headers: asked.headers, body: body.toString() },
        ...{ fault: fault.kind, startedMs: performance.now(), bytes: 0 },
      };
      this.requests.push(record);
      await this.#answer({ asked, answer, body, record, fault, signal: gone.signal });
      if (fault.afterwards !== undefined && !answer.headersSent) await this.#gate.set(fault.afterwards);
    } catch (error) {
      // The API server is away, and so is the proxy; or the client itself has gone.
      if (!(error instanceof Error && 'code' in error)) throw error;
      await this.#gate.reset(asked.socket.remotePort);
    }
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { asked, answer, body, record, fault, signal } = exchange;
    const reset = (): Promise<void> => this.#gate.reset(asked.socket.remotePort);
    if (fault.kind === 'drop') return reset();
    if (fault.kind === 'hang') return;
    if (fault.kind === 'answer') {
      const { status, retryAfterSeconds } = fault;
      const retry = retryAfterSeconds === undefined ? {} : { 'retry-after': `${retryAfterSeconds}` };
      this.#head(exchange, status, { 'content-type': 'application/json', ...retry });
      answer.end(count(record, Buffer.from(statusBody(fault))));
      return finished(answer);
    }
    if (fault.kind === 'delay') await sleep(fault.beforeMs ?? 0, undefined, { signal });
    const real = await this.#upstream.forward(asked, body, signal);
    record.serverStatus = real.statusCode ?? 0;
    if (fault.kind === 'lose-answer') {
      await buffer(real);
      return reset();
    }
    if (fault.kind === 'delay') await sleep(fault.afterMs ?? 0, undefined, { signal });
    this.#head(exchange, record.serverStatus, endToEnd(real.headers));
    if (fault.kind === 'cut-body') {
      const whole = await buffer(real);
      const part = whole.subarray(0, fault.bytes ?? Math.floor(whole.length / 2));
      await sent(answer, count(record, part));
      return reset();
    }
    const passed = fault.kind === 'cut-watch' ? untilInLine(real, fault.lines ?? 0) : real;
    for await (const chunk of passed) await sent(answer, count(record, chunk));
    if (fault.kind === 'cut-watch' && fault.end === 'reset') return reset();
    answer.end();
    await finished(answer);
  }

  #head({ answer, record, fault }: Exchange, status: number, headers: IncomingMessage['headers']): void {
    record.status = status;
    // Before the client has the answer: its next request must find the server so.
    const closed = new Promise((resolve) => answer.once('close', resolve));
    if (fault.afterwards !== undefined) void this.#gate.set(fault.afterwards, closed);
    answer.writeHead(status, headers);
    // A watch without events shows its headers too.
    answer.flushHeaders();
  }
}

interface Exchange {
  readonly asked: IncomingMessage;
  readonly answer: ServerResponse;
  readonly body: Buffer;
  readonly record: RecordedRequest;
  readonly fault: Fault;
  /** Ends when the client's connection does. */
  readonly signal: AbortSignal;
}

/** Returns when the kernel has it, so that a reset that follows does not overtake it. */
function sent(answer: ServerResponse, chunk: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  answer.write(chunk, (error) => (error ? reject(error) : resolve()));
  return promise;
}

function count(record: RecordedRequest, chunk: Buffer): Buffer {
  record.bytes += chunk.length;
  return chunk;
}

/** So many lines, and half of the next as soon as it is there. */
async function* untilInLine(stream: AsyncIterable<Buffer>, lines: number): AsyncGenerator<Buffer> {
  let left = lines;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      if (left === 0) {
        yield chunk.subarray(0, start + Math.ceil((end - start) / 2));
        return;
      }
      left -= 1;
      start = end + 1;
    }
    yield chunk;
  }
}
