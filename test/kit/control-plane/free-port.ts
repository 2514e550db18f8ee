// A TCP port of 127.0.0.1 that a server can have, give up and take again.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the ports that the kernel gives to outgoing connections, one of which could take it while we are stopped. */
const FIRST = 12_000;
const LAST = 32_000;

export async function freePort(): Promise<number> {
  const port = randomInt(FIRST, LAST);
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  server.once('listening', () => resolve(true));
  server.once('error', (error) => {
    if ('code' in error && error.code === 'EADDRINUSE') resolve(false);
    else reject(error);
  });
  server.listen(port, '127.0.0.1');
  if (!(await promise)) return freePort();
  await new Promise((closed) => server.close(closed));
  return port;
}
