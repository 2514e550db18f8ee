// One HTTP request and its answer, as the client needs them from whatever carries them. Types, and the one error.

export interface WireRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query, below the server's own path: "/api/v1/pods?limit=1". */
  readonly path: string;
  readonly accept: string;
  readonly contentType?: string;
  readonly body?: string;
}

export interface WireAnswer {
  readonly status: number;
  readonly date: string | undefined;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

export interface WireStream {
  readonly status: number;
  readonly date: string | undefined;
  readonly retryAfter: string | undefined;
  /** The body as it comes; no more is read than is taken. Leaving the loop ends the connection. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface Transport {
  /** The whole answer. @throws WireError, KubeError Credentials */
  ask(request: WireRequest, signal: AbortSignal): Promise<WireAnswer>;
  /** The head of the answer. The signal ends the body, too. @throws WireError, KubeError Credentials */
  stream(request: WireRequest, signal: AbortSignal): Promise<WireStream>;
  /** Ends connections that carry nothing now. */
  dropIdle(): void;
}

/**
 * Why there is no answer. `aborted`: the signal. `tls`: the two do not trust each other, which does not heal by itself.
 * `broken`: everything else.
 */
export type WireFault = 'aborted' | 'broken' | 'tls';

/** No cause is kept: errors of Node's HTTP carry the bytes that were being read. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly fault: WireFault;
  /** False when the request cannot have reached the server: it is safe to send it again. */
  readonly sent: boolean;
  /** Node's or OpenSSL's name for it. */
  readonly code: string | undefined;

  constructor(
    message: string,
    { fault, sent, code }: { fault: WireFault; sent: boolean; code?: string | undefined },
  ) {
    super(message);
    this.fault = fault;
    this.sent = sent;
    this.code = code;
  }
}
