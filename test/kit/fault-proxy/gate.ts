// The listening end of the fault proxy, below TLS: open, refusing connections, or accepting them and never answering.
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../control-plane/free-port.ts';

export type GateMode = 'open' | 'refuse' | 'black-hole';

/** A reset overtakes what its receiver has not read yet. */
const SETTLE_MS = 50;

export class Gate {
  readonly port: number;
  readonly #accept: (socket: Socket) => void;
  /** By the client's port, which is what an HTTP request knows of its connection. */
  readonly #sockets = new Map<number, Socket>();
  #server: Server | undefined;
  #mode: GateMode = 'refuse';
  #lastChange: Promise<void> = Promise.resolve();

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

  /**
   * The port stays the same. At once no new connection or request is served; 'refuse' then resets all connections,
   * after `last`, which ends what may still be answered. What a black hole swallowed is reset when it ends.
   */
  set(mode: GateMode, last: Promise<unknown> = Promise.resolve()): Promise<void> {
    // One after the other: what an earlier change resets must not be a connection of the next.
    this.#lastChange = this.#lastChange.then(() => this.#change(mode, last));
    return this.#lastChange;
  }

  /** The client reads what it was sent, then ECONNRESET. */
  async reset(remotePort: number | undefined): Promise<void> {
    await sleep(SETTLE_MS);
    this.#sockets.get(remotePort ?? 0)?.resetAndDestroy();
  }

  async #change(mode: GateMode, last: Promise<unknown>): Promise<void> {
    const swallowed = this.#mode === 'black-hole' && mode !== 'black-hole';
    this.#mode = mode;
    if (mode !== 'refuse' && this.#server === undefined) await this.#listen();
    if (mode === 'refuse') {
      this.#server?.close();
      this.#server = undefined;
      await last;
      await sleep(SETTLE_MS);
    }
    if (mode !== 'refuse' && !swallowed) return;
    for (const socket of this.#sockets.values()) socket.resetAndDestroy();
    // A client in this process learns of it in a later turn of the event loop, and may not use the connection again.
    await sleep(SETTLE_MS);
  }

  async #listen(): Promise<void> {
    const server = createServer((socket) => this.#connected(socket));
    this.#server = server;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(this.port, '127.0.0.1', resolve);
    await promise;
  }

  #connected(socket: Socket): void {
    const { remotePort = 0 } = socket;
    this.#sockets.set(remotePort, socket);
    socket.once('close', () => this.#sockets.delete(remotePort));
    socket.on('error', () => {}); // its client went away: the request on it learns that by itself
    if (this.#mode === 'open') this.#accept(socket);
  }
}
