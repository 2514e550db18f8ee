// The real kernel: where namespaces come from.
import { ManifoldError } from '../errors/manifold-error.ts';
import type { Kernel } from './kernel.ts';
import { LinuxNamespace } from './namespace.ts';
import { openNetns, openOwnNetns } from './netns.ts';

/**
 * The host's namespace is opened once and stays open for the life of the process: close() does nothing to it. Each
 * other one is closed by its caller.
 */
export function createKernel(): Kernel {
  let host: LinuxNamespace | undefined;
  return {
    host: () => {
      host ??= new LinuxNamespace(openOwnNetns(), undefined);
      return host;
    },
    open: (path) => {
      const netns = openNetns(path);
      if (netns === undefined) {
        throw new ManifoldError(
          'bad-netns',
          `Cannot open network namespace ${path}: there is none at this path`,
          {
            hint: 'The path must be that of a network namespace, such as /run/netns/NAME or /proc/PID/ns/net.',
          },
        );
      }
      return new LinuxNamespace(netns, path);
    },
    openIfThere: (path) => {
      const netns = openNetns(path);
      return netns === undefined ? undefined : new LinuxNamespace(netns, path);
    },
  };
}
