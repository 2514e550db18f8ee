import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { createKernel } from '../../pkg/kernel/linux-kernel.ts';
import { openNetlinkSocket } from '../../pkg/kernel/netlink-socket.ts';
import { inNamespace, openNetns } from '../../pkg/kernel/netns.ts';
import { makeNetns, withNetns } from '../kit/netns.ts';

const kernel = createKernel();
const here = () => readlinkSync('/proc/thread-self/ns/net');

describe('opening a namespace', () => {
  test('gives the same identity for every path to it', () =>
    withNetns((netns) => {
      const byPath = kernel.open(netns.path);
      const [pid] = [spawnHolder(netns.name)];
      try {
        const byProcess = kernel.open(`/proc/${pid.pid}/ns/net`);
        expect(byProcess.id).toBe(byPath.id);
        expect(byPath.path).toBe(netns.path);
        expect(byPath.id).not.toBe(kernel.host().id);
        byProcess.close();
      } finally {
        pid.stop();
        byPath.close();
      }
    }));

  test('keeps it alive when its path is gone', () => {
    const netns = makeNetns();
    const namespace = kernel.open(netns.path);
    netns[Symbol.dispose]();
    expect(namespace.links().map(({ name }) => name)).toEqual(['lo']);
    namespace.close();
  });

  test('that is missing or no namespace is bad-netns, or undefined where that may be', () => {
    const directory = mkdtempSync(join(tmpdir(), 'manifold-netns-'));
    const file = join(directory, 'left-behind');
    try {
      writeFileSync(file, '');
      for (const path of [
        join(directory, 'missing'),
        join(file, 'below'),
        file,
        directory,
        '/proc/self/ns/mnt',
        '/dev/null',
      ]) {
        expect(() => kernel.open(path)).toThrow(
          expect.objectContaining({
            code: 'bad-netns',
            message: `Cannot open network namespace ${path}: there is none at this path`,
          }),
        );
        expect(kernel.openIfThere(path)).toBeUndefined();
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('and closing it leaves no descriptor behind', () =>
    withNetns((netns) => {
      kernel.host().links();
      const before = readdirSync('/proc/self/fd').length;
      for (let round = 0; round < 20; round += 1) {
        const namespace = kernel.open(netns.path);
        namespace.links();
        namespace.readSysctl('net/ipv4/ip_forward');
        namespace.announce(1, ['10.1.2.3/24'], { times: 1, carrierMs: 0 });
        namespace.close();
        namespace.close();
        kernel.openIfThere('/dev/null');
      }
      expect(readdirSync('/proc/self/fd').length).toBe(before);
    }));

  test('and using it after closing is an error', () =>
    withNetns((netns) => {
      const namespace = kernel.open(netns.path);
      namespace.close();
      expect(() => namespace.links()).toThrow(`Cannot use ${netns.path}: it is closed`);
      expect(() => namespace.readSysctl('net/ipv4/ip_forward')).toThrow(
        `Cannot use ${netns.path}: it is closed`,
      );
    }));

  test('of the host gives one that close() does not close', () => {
    const host = kernel.host();
    host.close();
    expect(host.path).toBeUndefined();
    expect(
      kernel
        .host()
        .links()
        .map(({ name }) => name),
    ).toContain('lo');
  });
});

describe('being inside a namespace', () => {
  test('lasts as long as the work, also when it throws', () =>
    withNetns((netns) => {
      const home = here();
      const opened = openNetns(netns.path);
      const fd = opened?.fd ?? -1;
      expect(inNamespace(fd, here)).not.toBe(home);
      expect(here()).toBe(home);
      expect(() =>
        inNamespace(fd, () => {
          throw new Error('work failed');
        }),
      ).toThrow('work failed');
      expect(here()).toBe(home);
    }));

  test('is refused for work that goes on later', () =>
    withNetns((netns) => {
      const home = here();
      const fd = openNetns(netns.path)?.fd ?? -1;
      expect(() => inNamespace(fd, async () => 'later')).toThrow(
        'Cannot run work in a network namespace: it must not be asynchronous',
      );
      expect(here()).toBe(home);
    }));

  test('is refused for what is no namespace', () => {
    expect(() => inNamespace(0, here)).toThrow(/^Cannot enter network namespace descriptor 0: E/);
  });

  test('ends the process when there is no way back', () =>
    withNetns((netns) => {
      const module = pathToFileURL(join(import.meta.dirname, '../../pkg/kernel/netns.ts')).href;
      // The work closes the descriptor of the way home, a real reason for setns(2) to fail.
      const program = `
        import { closeSync, readdirSync, readlinkSync } from 'node:fs';
        import { inNamespace, openNetns } from '${module}';
        const target = openNetns('${netns.path}');
        process.on('exit', () => console.log('exit handler ran'));
        inNamespace(target.fd, () => {
          for (const name of readdirSync('/proc/self/fd')) {
            if (Number(name) === target.fd) continue;
            try {
              if (readlinkSync('/proc/self/fd/' + name).startsWith('net:')) closeSync(Number(name));
            } catch {}
          }
        });
        console.log('still running');`;
      const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      expect({ status, stdout, stderr }).toEqual({
        status: 70,
        stdout: '',
        stderr: 'Cannot return to the network namespace of this process: EBADF; ending the process\n',
      });
    }));
});

test('threads work in different namespaces at the same time', async () => {
  const namespaces = Array.from({ length: 3 }, makeNetns);
  const module = pathToFileURL(join(import.meta.dirname, '../../pkg/kernel/linux-kernel.ts')).href;
  const home = here();
  try {
    const seen = await Promise.all(
      namespaces.map((netns, number) => {
        netns.exec('ip', 'link', 'add', `only${number}`, 'type', 'bridge');
        const program = `
          const { parentPort } = require('node:worker_threads');
          const { readlinkSync } = require('node:fs');
          import('${module}').then(({ createKernel }) => {
            const home = readlinkSync('/proc/thread-self/ns/net');
            const namespace = createKernel().open('${netns.path}');
            const names = new Set();
            for (let round = 0; round < 300; round += 1) {
              for (const { name } of namespace.links()) names.add(name);
              if (namespace.readSysctl('net/ipv4/conf/only${number}/arp_notify') === undefined) names.add('no sysctl');
            }
            if (readlinkSync('/proc/thread-self/ns/net') !== home) names.add('not back');
            namespace.close();
            parentPort.postMessage([...names]);
          });`;
        const worker = new Worker(program, {
          eval: true,
          execArgv: ['--disable-warning=ExperimentalWarning'],
        });
        return new Promise<unknown>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    expect(seen).toEqual([0, 1, 2].map((number) => ['lo', `only${number}`]));
    expect(here()).toBe(home);
  } finally {
    for (const netns of namespaces) netns[Symbol.dispose]();
  }
});

describe('sysctls', () => {
  test('are those of the namespace and not of the host', () =>
    withNetns((netns) => {
      const namespace = kernel.open(netns.path);
      const path = 'net/ipv4/conf/lo/arp_notify';
      const before = readFileSync(`/proc/sys/${path}`, 'utf8').trim();
      namespace.writeSysctl(path, before === '1' ? '0' : '1');
      expect(namespace.readSysctl(path)).toBe(before === '1' ? '0' : '1');
      expect(netns.exec('cat', `/proc/sys/${path}`).trim()).toBe(namespace.readSysctl(path));
      expect(kernel.host().readSysctl(path)).toBe(before);
      expect(readFileSync(`/proc/sys/${path}`, 'utf8').trim()).toBe(before);
      namespace.close();
    }));

  test('that are missing read as undefined and cannot be written', () =>
    withNetns((netns) => {
      const namespace = kernel.open(netns.path);
      const path = 'net/ipv4/conf/nothing/arp_notify';
      expect(namespace.readSysctl(path)).toBeUndefined();
      expect(() => namespace.writeSysctl(path, '1')).toThrow(
        expect.objectContaining({
          code: 'not-found',
          message: `Cannot write "1" to sysctl ${path} in ${netns.path}: ENOENT`,
        }),
      );
      namespace.close();
    }));

  test('that refuse a value say which and where', () =>
    withNetns((netns) => {
      const namespace = kernel.open(netns.path);
      const path = 'net/ipv4/conf/lo/arp_notify';
      expect(() => namespace.writeSysctl(path, 'much')).toThrow(
        `Cannot write "much" to sysctl ${path} in ${netns.path}: EINVAL`,
      );
      namespace.close();
    }));

  test.each(['../self/mem', 'net/../../self/mem', '/etc/passwd', 'net\0'])('"%s" is refused', (path) => {
    expect(() => kernel.host().readSysctl(path)).toThrow(expect.objectContaining({ code: 'bad-config' }));
    expect(() => kernel.host().writeSysctl(path, '1')).toThrow(
      expect.objectContaining({ code: 'bad-config' }),
    );
  });

  test('of an interface with a dot in its name are found', () =>
    withNetns((netns) => {
      netns.exec('ip', 'link', 'add', 'eth0.5', 'type', 'bridge');
      const namespace = kernel.open(netns.path);
      expect(namespace.readSysctl('net/ipv4/conf/eth0.5/arp_notify')).toBe('0');
      namespace.close();
    }));
});

test('without root the error says what is needed', () => {
  const module = pathToFileURL(join(import.meta.dirname, '../../pkg/kernel/linux-kernel.ts')).href;
  return withNetns((netns) => {
    const program = `
      import { createKernel } from '${module}';
      const namespace = createKernel().open('${netns.path}');
      process.setuid(65534);
      try { namespace.links(); } catch (error) { console.log(error.code, error.message, error.hint); }`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(
      `kernel Cannot enter network namespace ${netns.path}: EPERM ` +
        'Run as root with CAP_NET_ADMIN (and CAP_SYS_ADMIN to enter network namespaces).\n',
    );
  });
});

test('a kernel that does not answer is an error and no hang', () =>
  withNetns((netns) => {
    const opened = openNetns(netns.path);
    const socket = openNetlinkSocket(opened?.fd, netns.path, 30);
    // Nothing was asked, so nothing comes.
    expect(() => socket.receive('list links')).toThrow(
      expect.objectContaining({
        code: 'try-later',
        message: 'Cannot list links: the kernel did not answer within 30 ms',
      }),
    );
    socket.close();
  }));

function spawnHolder(name: string): { readonly pid: number; stop(): void } {
  const output = execFileSync(
    'ip',
    ['netns', 'exec', name, 'sh', '-c', 'sleep 60 >/dev/null 2>&1 & echo $!'],
    {
      encoding: 'utf8',
    },
  );
  const pid = Number(output);
  return { pid, stop: () => process.kill(pid) };
}
