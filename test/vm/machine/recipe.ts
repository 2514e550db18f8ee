// What the machine is made of. A change here makes a new one in the cache beside the old.
import { createHash } from 'node:crypto';

/** Counted up when the way of making changes and the lists below do not. */
const FORMAT = 2;

export const SUITE = 'trixie';

/** The emulator, what Node needs inside, and the tools that cases look at the guest with. */
export const PACKAGES = [
  'qemu-system-x86',
  'busybox-static',
  'xz-utils',
  ...['libatomic1', 'libstdc++6'],
  ...['kmod', 'iproute2', 'iputils-ping', 'tcpdump'],
  // The shell of busybox runs its own `ip` and the like, whatever stands on the PATH.
  'dash',
] as const;

/** Debian's own image: the one for clouds has no igb, no 9p and no soft RoCE. It names the image of the day. */
export const KERNEL_PACKAGE = 'linux-image-amd64';

/** In order of loading, until the guest can see its root. */
export const INITRD_MODULES = [
  'fs/netfs/netfs',
  'net/9p/9pnet',
  'net/9p/9pnet_virtio',
  'fs/9p/9p',
  'fs/overlayfs/overlay',
] as const;

/** Removed from the tree: nothing in the guest reads it. */
export const UNUSED = ['usr/share/doc', 'usr/share/locale', 'usr/share/man', 'usr/share/bug'] as const;

export function recipeHash(): string {
  const recipe = [FORMAT, SUITE, PACKAGES, KERNEL_PACKAGE, INITRD_MODULES, UNUSED];
  return createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
}
