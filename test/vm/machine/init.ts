// What runs in the guest before Node does: its root is the tree of packages, read-only, with what is written kept in
// memory.
import { VFS_PER_PORT } from '../guest/port.ts';

/** Tags of the directories that QEMU shares, and where the guest sees them. */
export const SHARES = {
  /** The repository. */
  repo: '/repo',
  /** The directory of the pinned Node's binary. */
  node: '/node',
  /** This run's directory, writable and never cached: what the host writes is seen at once. */
  host: '/host',
} as const;

/** The guest's own end of each port is a file of this directory. */
export const PORTS = '/dev/virtio-ports';
export const EVENTS_PORT = 'events';
export const OUTPUT_PORT = 'output';

/** There once the ports are up and have their virtual functions: igb sleeps for seconds, while Node starts. */
export const PORTS_READY = '/run/ports-ready';

const NODE_OPTIONS = '--disable-warning=ExperimentalWarning';

/** busybox, as /init of the initrd. @param script what Node runs, as the guest sees it */
export function initScript(script: string): string {
  const mount9p = 'trans=virtio,version=9p2000.L,msize=524288';
  return `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev; $b mount -t proc proc /proc; $b mount -t sysfs sys /sys
for m in $($b cat /m/order); do $b insmod /m/$m || echo "init: insmod $m failed"; done
$b mount -t 9p -o ro,cache=loose,${mount9p} tree /lower || echo "init: no root"
$b mount -t tmpfs -o mode=0755,size=75% tmpfs /rw; $b mkdir /rw/up /rw/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/rw/up,workdir=/rw/work overlay /new
$b mount -t 9p -o ro,cache=loose,${mount9p} repo /new${SHARES.repo}
$b mount -t 9p -o ro,cache=loose,${mount9p} node /new${SHARES.node}
$b mount -t 9p -o rw,cache=none,${mount9p} host /new${SHARES.host}
for d in dev proc sys; do $b mount --move /$d /new/$d; done
$b mount -t tmpfs -o mode=1777 tmpfs /new/tmp; $b mount -t tmpfs -o mode=0755 tmpfs /new/run
$b mkdir -p /new/run/netns /new/dev/pts /new/dev/shm /new${PORTS}
$b mount -t devpts devpts /new/dev/pts; $b mount -t tmpfs -o mode=1777 tmpfs /new/dev/shm
$b mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
for p in /new/sys/class/virtio-ports/*; do $b ln -s /dev/\${p##*/} /new${PORTS}/$($b cat $p/name); done
exec $b chroot /new /usr/bin/busybox sh -c '
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
hostname manifold-vm; ip link set lo up
(
  modprobe -a igb igbvf
  # One port after the other, so that names are the same in every run; the kernel makes them one by one anyway.
  for port in /sys/bus/pci/devices/*; do
    if [ -e $port/sriov_numvfs ]; then
      ip link set $(ls $port/net) up; echo ${VFS_PER_PORT} > $port/sriov_numvfs
    fi
  done
  touch ${PORTS_READY}
) &
{ /node/node ${NODE_OPTIONS} ${script} 2>&1 < /dev/null; echo $? > /run/code; } | cat > ${PORTS}/${OUTPUT_PORT}
echo "{\\"event\\":\\"exit\\",\\"code\\":$(cat /run/code)}" > ${PORTS}/${EVENTS_PORT}
poweroff -f'
`;
}
