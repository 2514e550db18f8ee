// The reference plugins that our tests compare with, kept in a cache outside the repository, never installed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { env, stderr } from 'node:process';
import { lock } from 'proper-lockfile';

const DEBIAN_PACKAGE = 'containernetworking-plugins';
const PLUGINS_MODULE = 'github.com/containernetworking/plugins';
const PLUGINS_VERSION = 'v1.9.1';
const CNI_MODULE = 'github.com/containernetworking/cni';
const CNI_VERSION = 'v1.3.0';

const GO_PLUGINS = [
  ...['macvlan', 'host-device', 'bridge', 'ptp', 'loopback'].map((name) => `main/${name}`),
  ...['host-local', 'static'].map((name) => `ipam/${name}`),
  ...['tuning', 'portmap', 'sbr'].map((name) => `meta/${name}`),
];

/**
 * Directory with the plugins of Debian's package; downloaded once for each version.
 * @throws Error where there is no apt-get, or the package cannot be downloaded
 */
export function debianPlugins(): string {
  if (candidateVersion() === undefined) update();
  const version = candidateVersion();
  if (version === undefined)
    throw new Error(`Cannot download ${DEBIAN_PACKAGE}: apt-cache knows no such package`);
  const home = join(cacheRoot(), 'debian', version);
  const directory = join(home, 'usr/lib/cni');
  if (existsSync(directory)) return directory;
  const scratch = scratchDirectory();
  try {
    say(`downloading Debian's ${DEBIAN_PACKAGE} ${version} into ${home}`);
    const argv = ['-q', '-o', 'APT::Sandbox::User=root', 'download', `${DEBIAN_PACKAGE}=${version}`];
    tryTwice(() => run('apt-get', argv, scratch), update);
    const file = readdirSync(scratch).find((name) => name.endsWith('.deb'));
    if (file === undefined) throw new Error(`Cannot find the package that apt-get downloaded (${scratch})`);
    run('dpkg', ['-x', file, 'files'], scratch);
    publish(join(scratch, 'files'), home);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return directory;
}

/** Directory with the reference plugins v1.9.1, built once; undefined where there is no Go. */
export async function goPlugins(): Promise<string | undefined> {
  const packages = GO_PLUGINS.map((name) => `${PLUGINS_MODULE}/plugins/${name}@${PLUGINS_VERSION}`);
  return goInstall(`plugins-${PLUGINS_VERSION}-${GO_PLUGINS.length}`, packages);
}

/** Path of libcni's own command line, built once; undefined where there is no Go. */
export async function cnitool(): Promise<string | undefined> {
  const directory = await goInstall(`cnitool-${CNI_VERSION}`, [`${CNI_MODULE}/cnitool@${CNI_VERSION}`]);
  return directory === undefined ? undefined : join(directory, 'cnitool');
}

/** Builds under a lock: a second run waits for the first and finds it done. */
async function goInstall(key: string, packages: readonly string[]): Promise<string | undefined> {
  const home = join(cacheRoot(), 'go', key);
  if (existsSync(home)) return home;
  if (!hasGo()) return undefined;
  mkdirSync(join(cacheRoot(), 'go'), { recursive: true });
  const release = await lock(cacheRoot(), {
    stale: 60_000,
    retries: { retries: 300, minTimeout: 1000, factor: 1 },
  });
  const scratch = scratchDirectory();
  try {
    if (existsSync(home)) return home;
    say(`building ${packages.join(' ')} into ${home}`);
    const goEnv = { ...env, GOBIN: scratch, GOFLAGS: '', CGO_ENABLED: '0' };
    run('go', ['install', '-trimpath', '-ldflags=-s -w', ...packages], scratch, goEnv);
    publish(scratch, home);
    return home;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    await release();
  }
}

function cacheRoot(): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'manifold');
}

/** On the file system of the cache, so that a rename publishes a finished directory whole. */
function scratchDirectory(): string {
  mkdirSync(cacheRoot(), { recursive: true });
  return mkdtempSync(join(cacheRoot(), 'scratch-'));
}

function publish(finished: string, home: string): void {
  mkdirSync(join(home, '..'), { recursive: true });
  try {
    renameSync(finished, home);
  } catch (error) {
    // Another run was faster and put the same files there.
    if (!(error instanceof Error && 'code' in error && ['ENOTEMPTY', 'EEXIST'].includes(`${error.code}`)))
      throw error;
  }
}

function candidateVersion(): string | undefined {
  const policy = run('apt-cache', ['policy', DEBIAN_PACKAGE], '/');
  const version = /^ *Candidate: (\S+)$/m.exec(policy)?.[1];
  return version === '(none)' ? undefined : version;
}

function update(): void {
  say('running apt-get update');
  run('apt-get', ['-q', 'update'], '/');
}

function tryTwice(attempt: () => void, between: () => void): void {
  try {
    attempt();
  } catch (error) {
    // An old package list names a file that the mirror has no more.
    say(`${error instanceof Error ? error.message.split('\n')[0] : error}`);
    between();
    attempt();
  }
}

function hasGo(): boolean {
  try {
    run('go', ['version'], '/');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function run(
  file: string,
  argv: readonly string[],
  cwd: string,
  environment: NodeJS.ProcessEnv = env,
): string {
  return execFileSync(file, argv, {
    cwd,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function say(text: string): void {
  stderr.write(`reference plugins: ${text}\n`);
}
