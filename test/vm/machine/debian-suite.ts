// Debian packages of another suite than the host's, with all that they depend on, unpacked: apt works on a state of its
// own, nothing is installed, and it needs no root.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stderr } from 'node:process';
import { run } from '../../kit/build-cache.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ARCHIVE = 'http://deb.debian.org/debian';

export interface DebianFiles {
  /** "qemu-system-x86=1:10.0.13+ds-0+deb13u1" */
  readonly versions: readonly string[];
  /** Of the kernel's image: "6.12.117+deb13-amd64". */
  readonly kernel: string;
}

export interface DebianWish {
  readonly suite: string;
  /** Come with their dependencies, without what they only recommend. */
  readonly packages: readonly string[];
  /** A package that depends on the image of the day, which comes alone. */
  readonly kernelPackage: string;
}

/**
 * Unpacks all of it over each other into `tree`.
 * @param scratch a directory for apt's files, on the same file system @param target what is said to be made
 * @throws Error naming the command and what it said, after a second attempt
 */
export async function unpackDebian(
  wish: DebianWish,
  scratch: string,
  tree: string,
  target: string,
): Promise<DebianFiles> {
  const apt = { APT_CONFIG: writeAptFiles(wish.suite, join(scratch, 'apt')) };
  const debs = join(scratch, 'debs');
  mkdirSync(debs, { recursive: true });
  await twice(() => run('apt-get', ['-qq', 'update'], scratch, apt));
  const depends = await run('apt-cache', ['depends', wish.kernelPackage], scratch, apt);
  const image = /^ *Depends: (linux-image-\S+)$/m.exec(depends)?.[1];
  if (image === undefined)
    throw new Error(
      `Cannot find a kernel: ${wish.kernelPackage} of ${wish.suite} names no image (${depends.trim()})`,
    );
  const plan = ['--print-uris', '-y', '-qq', 'install', '--no-install-recommends', ...wish.packages];
  const closure = parseUris(await run('apt-get', plan, scratch, apt));
  const kernel = parseUris(await run('apt-get', ['--print-uris', '-qq', 'download', image], scratch, apt));
  const files = [...closure, ...kernel];
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  stderr.write(
    `Downloading ${files.length} packages of Debian ${wish.suite} (${Math.round(bytes / 1e6)} MB: QEMU, Linux, tools) ` +
      `for the virtual machine of the tests, unpacked into ${target}\n`,
  );
  const versions = files.map(({ name, version }) => `${name}=${version}`).sort();
  await twice(() => run('apt-get', ['-qq', 'download', ...versions], debs, apt));
  mkdirSync(tree, { recursive: true });
  for (const file of readdirSync(debs)) await run('dpkg-deb', ['-x', join(debs, file), tree], scratch);
  rmSync(debs, { recursive: true });
  rmSync(join(scratch, 'apt'), { recursive: true });
  return { versions, kernel: image.slice('linux-image-'.length) };
}

interface ArchiveFile {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
}

/** Lines of `'http://…/x.deb' name_version_arch.deb 1234 SHA256:…`; a colon of the version is written %3a. */
export function parseUris(text: string): ArchiveFile[] {
  return [...text.matchAll(/^'[^']*' ([^_\s]+)_([^_\s]+)_\S+ (\d+)/gm)].map(
    ([, name = '', version = '', size]) => ({
      name,
      version: decodeURIComponent(version),
      bytes: Number(size),
    }),
  );
}

function writeAptFiles(suite: string, directory: string): string {
  for (const part of ['state/lists/partial', 'cache/archives/partial', 'etc/none'])
    mkdirSync(join(directory, part), { recursive: true });
  writeFileSync(join(directory, 'status'), '');
  if (!existsSync(KEYRING))
    throw new Error(
      `Cannot check Debian's packages: ${KEYRING} is missing (apt-get install debian-archive-keyring)`,
    );
  writeFileSync(
    join(directory, 'etc/sources.list'),
    `deb [arch=amd64 signed-by=${KEYRING}] ${archive()} ${suite} main\n`,
  );
  const none = `${directory}/etc/none`;
  const file = join(directory, 'apt.conf');
  writeFileSync(
    file,
    `Dir::State "${directory}/state"; Dir::State::status "${directory}/status"; Dir::Cache "${directory}/cache";
Dir::Etc "${directory}/etc"; Dir::Etc::sourcelist "${directory}/etc/sources.list"; Dir::Etc::sourceparts "${none}";
Dir::Etc::parts "${none}"; Dir::Etc::preferencesparts "${none}"; Dir::Etc::trustedparts "${none}";
APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Sandbox::User "root"; Acquire::Languages "none";
Debug::NoLocking "true"; Acquire::Retries "2"; APT::Update::Error-Mode "any";\n`,
  );
  return file;
}

/** The mirror that this host uses for Debian, else Debian's own: another suite stands in the same archive. */
function archive(): string {
  const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter((file) =>
    existsSync(file),
  );
  const uris = sources.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s*)?)(https?:\S+)/gm)].map(
      ([, uri]) => uri,
    ),
  );
  return uris.find((uri) => uri !== undefined && /\/debian\/?$/.test(uri)) ?? ARCHIVE;
}

async function twice<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    stderr.write(`Trying again: ${error instanceof Error ? error.message.split('\n')[0] : error}\n`);
    return await attempt();
  }
}
