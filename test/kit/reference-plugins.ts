// The reference plugins that our tests compare with, kept in a cache outside the repository, never installed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stderr } from 'node:process';
import { cacheDirectory } from '../../build/cache.ts';
import { hasGo, madeOnce, publish, run, scratchDirectory } from './build-cache.ts';

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
  const home = cacheDirectory('debian', version);
  const directory = join(home, 'usr/lib/cni');
  if (existsSync(directory)) return directory;
  const scratch = scratchDirectory();
  try {
    say(`downloading Debian's ${DEBIAN_PACKAGE} ${version} into ${home}`);
    const argv = ['-q', '-o', 'APT::Sandbox::User=root', 'download', `${DEBIAN_PACKAGE}=${version}`];
    tryTwice(() => runNow('apt-get', argv, scratch), update);
    const file = readdirSync(scratch).find((name) => name.endsWith('.deb'));
    if (file === undefined) throw new Error(`Cannot find the package that apt-get downloaded (${scratch})`);
    runNow('dpkg', ['-x', file, 'files'], scratch);
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

async function goInstall(key: string, packages: readonly string[]): Promise<string | undefined> {
  const home = ['go', key];
  if (!existsSync(cacheDirectory(...home)) && !(await hasGo())) return undefined;
  return madeOnce(home, async (scratch) => {
    say(`building ${packages.join(' ')} into ${cacheDirectory(...home)}`);
    const goEnv = { GOBIN: scratch, GOFLAGS: '', CGO_ENABLED: '0' };
    await run('go', ['install', '-trimpath', '-ldflags=-s -w', ...packages], scratch, goEnv);
  });
}

function candidateVersion(): string | undefined {
  const policy = runNow('apt-cache', ['policy', DEBIAN_PACKAGE], '/');
  const version = /^ *Candidate: (\S+)$/m.exec(policy)?.[1];
  return version === '(none)' ? undefined : version;
}

function update(): void {
  say('running apt-get update');
  runNow('apt-get', ['-q', 'update'], '/');
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

function runNow(file: string, argv: readonly string[], cwd: string): string {
  return execFileSync(file, argv, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function say(text: string): void {
  stderr.write(`reference plugins: ${text}\n`);
}
