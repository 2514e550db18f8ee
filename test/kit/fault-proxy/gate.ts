// The listening end of the fault proxy, below TLS: open, refusing connections, or accepting them and never answering.
import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../control-plane/free-port.ts';

export type GateMode = 'open' | 'refuse' | 'black-hole';

export class Gate {
  readonly port: number;
  readonly #accept: (socket: Socket) => void;
  /** By the client's port, which is what an HTTP request knows of its connection. */
  readonly #sockets = new Map<number, Socket>();
  #server: Server | undefined;
  #mode: GateMode = 'refuse';

  private constructor(port: number, accept: (socket: Socket) => void) {
    this.port = port;
    this.#accept = accept;
  }

  static async open(accept: (socket: Socket) => void): Promise<Gate> {
    const gate = new Gate(await freePort(), accept);
    await gate.set('open');
    return gate;
  }

  get mode(): GateMode {
    return this.#mode;
  }

  /** The port stays the same. 'refuse' resets all connections; what a black hole swallowed is reset when it ends. */
  async set(mode: GateMode): Promise<void> {
    if (this.#mode === 'black-hole' && mode !== 'black-hole') this.#resetAll();
    this.#mode = mode;
    if (mode === 'refuse') {
      this.#resetAll();
      const server = this.#server;
      this.#server = undefined;
      if (server !== undefined) await new Promise((closed) => server.close(closed));
    } else if (this.#server === undefined) {
      const server = createServer((socket) => this.#connected(socket));
      this.#server = server;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
      await promise;
    }
  }

  /** The client reads what was sent, then ECONNRESET. */
  reset(remotePort: number | undefined): void {
    this.#sockets.get(remotePort ?? 0)?.resetAndDestroy();
  }

  #connected(socket: Socket): void {
    const { remotePort = 0 } = socket;
    this.#sockets.set(remotePort, socket);
    socket.once('close', () => this.#sockets.delete(remotePort));
    socket.on('error', () => {}); // its client went away: the request on it learns that by itself
    if (this.#mode === 'open') this.#accept(socket);
  }

  #resetAll(): void {
    for (const socket of this.#sockets.values()) socket.resetAndDestroy();
  }
}
