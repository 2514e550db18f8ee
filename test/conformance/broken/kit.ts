// Puts the plugins that are broken on purpose on disk: one bundle, and one small starter for each kind and sin.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { JsonObject } from '../json.ts';
import { SPEC_VERSIONS } from '../spec-versions.ts';
import type { Target } from '../target.ts';
import type { PluginKind } from './call.ts';

const IPAM_TYPE = 'honest-ipam';
const IPAM = {
  type: IPAM_TYPE,
  prefix: '10.90.0.',
  dataDir: '@TMP@/ipam',
  routes: [{ dst: '203.0.113.128/25' }],
};
const BASE = { cniVersion: '1.1.0', name: 'broken' };

const CONFS: Readonly<Record<PluginKind, JsonObject>> = {
  interface: { ...BASE, type: 'broken', master: 'cnf-up', dataDir: '@TMP@/marks', ipam: IPAM },
  chained: { ...BASE, type: 'broken', mtu: 1300, dataDir: '@TMP@/marks' },
  ipam: { ...BASE, type: 'caller', ipam: IPAM },
};

export class BrokenKit implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<BrokenKit> {
    const kit = new BrokenKit(await mkdtemp(join(tmpdir(), 'cni-broken-')));
    await build({
      entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
      outfile: join(kit.directory, 'plugin.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
    await kit.#start(IPAM_TYPE, 'ipam', 'none');
    return kit;
  }

  /** A plugin of that kind with one sin; `none` for the honest one. */
  async plugin(kind: PluginKind, sin: string): Promise<string> {
    return this.#start(`${kind}-${sin}`, kind, sin);
  }

  conf(kind: PluginKind): JsonObject {
    return CONFS[kind];
  }

  /** The plugin as a target, without asking it what it is. */
  async target(kind: PluginKind, sin: string): Promise<Target> {
    return {
      plugin: await this.plugin(kind, sin),
      conf: this.conf(kind),
      kind,
      cniPath: [this.directory],
      versions: SPEC_VERSIONS,
      newest: '1.1.0',
      exclusive: false,
      isolated: true,
      setup: undefined,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  async #start(name: string, kind: PluginKind, sin: string): Promise<string> {
    const file = join(this.directory, name);
    await writeFile(
      file,
      `#!/bin/sh\nexec '${process.execPath}' '${this.directory}/plugin.cjs' ${kind} ${sin}\n`,
    );
    await chmod(file, 0o755);
    return file;
  }
}
