// Lets programs in another network namespace reach a server on this one's loopback address, under the same port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { execPath } from 'node:process';

export interface Relay {
  close(): Promise<void>;
}

/** What runs inside: each connection to the port becomes one to the socket, which network namespaces share. */
const INSIDE = `
  const { connect, createServer } = require('node:net');
  const [port, path] = process.argv.slice(1);
  createServer((near) => {
    const far = connect(path);
    for (const [one, other] of [[near, far], [far, near]])
      one.on('error', () => other.destroy()).pipe(other).on('error', () => undefined);
  }).listen(Number(port), '127.0.0.1', () => console.log('listens'));
  process.stdin.on('end', () => process.exit()).resume();
`;

/** @param namespace name of it, its loopback interface up @param directory for a socket */
export async function relayInto(namespace: string, port: number, directory: string): Promise<Relay> {
  const path = join(directory, `relay-${port}`);
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.on('error', () => far.destroy()).pipe(far);
    far.on('error', () => near.destroy()).pipe(near);
  }).listen(path);
  await once(server, 'listening');
  const words = ['netns', 'exec', namespace, execPath, '-e', INSIDE, String(port), path];
  // It ends with its standard input, and so with this process too.
  const child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    async close() {
      child.stdin.end();
      await once(child, 'close');
      server.close();
      rmSync(path, { force: true });
    },
  };
}
