// The plugin under test and its configuration, and how its kind is found out.
import type { Outcome } from './exec.ts';
import { describe, jsonOf } from './exec.ts';
import { isObject, type JsonObject } from './json.ts';
import { readLinks } from './kernel-view.ts';
import type { Kind } from './row.ts';
import { newestOf, SPEC_VERSIONS, type SpecVersion } from './spec-versions.ts';
import { World } from './world.ts';

export interface Target {
  /** Absolute path of the executable. */
  readonly plugin: string;
  /** One plugin's configuration, not a list. `@TMP@` in it stands for a directory of the row's own. */
  readonly conf: JsonObject;
  readonly kind: Kind;
  /** Where delegates are found. */
  readonly cniPath: readonly string[];
  /** The versions that both the plugin and this harness know, oldest first. */
  readonly versions: readonly SpecVersion[];
  readonly newest: SpecVersion;
  /** One attachment at a time: a plugin that takes a device away. */
  readonly exclusive: boolean;
  /** A network namespace of our own stands for the host; otherwise the real host does. */
  readonly isolated: boolean;
  /** Shell commands that prepare the host's namespace. */
  readonly setup: string | undefined;
}

export interface TargetOptions {
  readonly plugin: string;
  readonly conf: JsonObject;
  readonly cniPath: readonly string[];
  readonly kind?: Kind | undefined;
  readonly isolated?: boolean | undefined;
  readonly setup?: string | undefined;
}

/**
 * Asks the plugin what it is: by VERSION, by one ADD, and by a second one beside it.
 * @throws Error when no ADD with this configuration succeeds, so that nothing can be tested
 */
export async function detectTarget(options: TargetOptions): Promise<Target> {
  const conf = pluginConf(options.conf);
  const base: Target = {
    plugin: options.plugin,
    conf,
    kind: options.kind ?? 'interface',
    cniPath: options.cniPath,
    versions: SPEC_VERSIONS,
    newest: '1.0.0',
    exclusive: false,
    isolated: options.isolated ?? true,
    setup: options.setup,
  };
  const versions = await readVersions(base);
  const newest = newestOf(versions);
  if (newest === undefined)
    throw new Error(`Cannot test ${options.plugin}: its VERSION names no version that is known`);
  const known = { ...base, versions, newest };
  const kind = options.kind ?? (await guessKind(known));
  return { ...known, kind, exclusive: await readExclusive({ ...known, kind }) };
}

/** The first plugin of a list, with the list's name and version; a plugin's configuration as it is. */
function pluginConf(conf: JsonObject): JsonObject {
  const first = Array.isArray(conf.plugins) ? conf.plugins[0] : undefined;
  if (!isObject(first)) return conf;
  return { ...first, cniVersion: conf.cniVersion, name: conf.name };
}

async function readVersions(target: Target): Promise<readonly SpecVersion[]> {
  await using world = await World.open(target);
  const json = jsonOf(await world.call('VERSION', { conf: { cniVersion: '1.0.0' } }));
  const listed = isObject(json) && Array.isArray(json.supportedVersions) ? json.supportedVersions : [];
  // A plugin that cannot answer VERSION fails that row; the others are tried with what its configuration says.
  const claimed = listed.length > 0 ? listed : [target.conf.cniVersion];
  return SPEC_VERSIONS.filter((version) => claimed.includes(version));
}

async function guessKind(target: Target): Promise<Kind> {
  if (target.conf.prevResult !== undefined) return 'chained';
  if (['delegates', 'clusterNetwork', 'defaultNetwork'].some((key) => target.conf[key] !== undefined))
    return 'meta';
  const seen: Outcome[] = [];
  for (const kind of ['interface', 'chained'] as const) {
    await using world = await World.open({ ...target, kind });
    const pod = await world.pod();
    const outcome = await world.call('ADD', { pod, conf: world.conf() });
    seen.push(outcome);
    if (outcome.exitCode !== 0) continue;
    if (kind === 'chained') return 'chained';
    const links = await readLinks(pod.netnsName);
    if (links.some((link) => link.name === pod.ifname)) return 'interface';
    const result = jsonOf(outcome);
    if (links.length === 0 && isObject(result) && result.interfaces === undefined) return 'ipam';
  }
  const reasons = seen.map((outcome, index) => `${index === 0 ? 'alone' : 'chained'}: ${describe(outcome)}`);
  throw new Error(
    `Cannot test ${target.plugin}: no ADD with this configuration succeeds (${reasons.join('; ')})`,
  );
}

async function readExclusive(target: Target): Promise<boolean> {
  if (target.kind === 'chained') return false;
  await using world = await World.open(target);
  const first = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
  if (first.exitCode !== 0) throw new Error(`Cannot test ${target.plugin}: ADD fails (${describe(first)})`);
  const second = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
  return second.exitCode !== 0;
}
