// How etcd is started: one member, loopback only, no fsync (a test's objects need not outlive a power cut).
import { get } from 'node:http';
import { join } from 'node:path';
import type { ClusterPlace } from './cluster.ts';

export function etcdFlags({ directory, etcdUrl }: ClusterPlace): string[] {
  return [
    ...['--data-dir', join(directory, 'etcd')],
    ...['--listen-client-urls', etcdUrl],
    ...['--advertise-client-urls', etcdUrl],
    ...['--listen-peer-urls', 'http://127.0.0.1:0'],
    ...['--log-level', 'warn'],
    '--unsafe-no-fsync',
  ];
}

export function isHealthy(etcdUrl: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  get(new URL('/health', etcdUrl), (answer) => {
    answer.resume();
    resolve(answer.statusCode === 200);
  }).once('error', () => resolve(false)); // refused: it does not listen yet
  return promise;
}
