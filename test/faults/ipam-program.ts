// manifold-ipam as a program in one file, and many calls of it at once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { execPath } from 'node:process';
import type { JsonObject, Verb } from '../../pkg/cni/plugin.ts';
import { bundle } from '../kit/bundle.ts';

/** Bundles the program into a directory. @returns its path */
export const bundleIpam = (directory: string): string =>
  bundle(join(import.meta.dirname, '../../meta/bin/manifold-ipam.ts'), directory);

export interface IpamCall {
  readonly verb: Verb;
  readonly container: string;
  readonly uid?: string;
  readonly config: JsonObject;
  /** SIGKILL after this time. */
  readonly killAfterMs?: number;
}

export interface IpamAnswer {
  /** Null: killed. */
  readonly code: number | null;
  readonly address: string | undefined;
  /** The message of the error. */
  readonly msg: string | undefined;
}

export async function callIpam(program: string, call: IpamCall): Promise<IpamAnswer> {
  const child = spawn(execPath, ['--disable-warning=ExperimentalWarning', program], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      CNI_COMMAND: call.verb,
      CNI_CONTAINERID: call.container,
      CNI_IFNAME: 'net1',
      CNI_NETNS: `/run/netns/manifold-none-${call.container}`,
      CNI_PATH: '/nowhere',
      CNI_ARGS: `K8S_POD_NAMESPACE=ns;K8S_POD_NAME=${call.uid ?? call.container}${call.uid ? `;K8S_POD_UID=${call.uid}` : ''}`,
    },
  });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stdin.on('error', () => undefined); // killed before it read
  child.stdin.end(JSON.stringify(call.config));
  if (call.killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), call.killAfterMs);
  await once(child, 'close');
  const answer: { ips?: { address: string }[]; msg?: string } = stdout === '' ? {} : JSON.parse(stdout);
  return { code: child.exitCode, address: answer.ips?.[0]?.address, msg: answer.msg };
}

/** A network of one range over a store in `root`. */
export function ipamNetwork(root: string, ipam: JsonObject, name = 'rail0'): JsonObject {
  return {
    cniVersion: '1.1.0',
    name,
    type: 'macvlan',
    ipam: { type: 'manifold-ipam', ...ipam },
    manifold: { stateDir: join(root, 'state'), runDir: join(root, 'run') },
  };
}
