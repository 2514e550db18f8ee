// The rules of biome.json that keep imports pointing one way, held against files that break them.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = new URL('../..', import.meta.url).pathname;

/** A file, what it says, and true where that is forbidden. */
const PROBES: readonly (readonly [string, string, boolean])[] = [
  ['pkg/ip/up-to-meta.ts', "import { a } from '../../meta/plan.ts';", true],
  ['pkg/ip/up-to-meta-type.ts', "import type { a } from '../../meta/plan.ts';", true],
  ['pkg/cni/up-to-plugin.ts', "import { a } from '../../cni/macvlan/plugin.ts';", true],
  ['pkg/state/up-to-ipam.ts', "import { a } from '../../ipam/plugin.ts';", true],
  ['pkg/errors/up-to-cni.ts', "import { a } from '../cni/plugin.ts';", true],
  ['pkg/kernel/across-to-state.ts', "import { a } from '../state/open-node-store.ts';", true],
  ['pkg/state/across-to-kernel.ts', "import { a } from '../kernel/netns.ts';", true],
  ['pkg/pci/across-to-kernel.ts', "import { a } from '../kernel/netns.ts';", true],
  ['cni/sriov/across-to-host-device.ts', "import { a } from '../host-device/plugin.ts';", true],
  ['pkg/attach/down-to-pci.ts', "import { a } from '../pci/sysfs.ts';", false],
  ['pkg/cni/down-to-log.ts', "import { a } from '../log/logger.ts';", false],
  ['pkg/attach/down-to-cni.ts', "import { a } from '../cni/plugin.ts';", false],
  ['cni/macvlan/down-to-pkg.ts', "import { a } from '../../pkg/cni/plugin.ts';", false],
  ['cni/macvlan/across-to-host-device.ts', "import { a } from '../host-device/plugin.ts';", true],
  ['cni/macvlan/across-to-ipam.ts', "import { a } from '../../ipam/plugin.ts';", true],
  ['cni/host-device/up-to-meta.ts', "import { a } from '../../meta/plan.ts';", true],
  ['ipam/across-to-plugin.ts', "import { a } from '../cni/macvlan/plugin.ts';", true],
  ['ipam/down-to-pkg.ts', "import { a } from '../pkg/cni/plugin.ts';", false],
  ['meta/down-to-all.ts', "import { a } from '../cni/macvlan/plugin.ts';", false],
  ['cni/macvlan/netlink.ts', "import { a } from 'netlink/dist/structs.js';", true],
  ['meta/ffi.ts', "import { a } from 'node:ffi';", true],
  ['pkg/kernel/ffi.ts', "import { a } from 'node:ffi';", false],
  ['pkg/kernel/codec.ts', "import { a } from 'netlink/dist/structs.js';", false],
  ['pkg/kernel/addon.ts', "import { a } from 'netlink';", true],
  ['pkg/kernel/addon-below.ts', "import { a } from 'netlink/dist/rt/rt.js';", true],
  ['ipam/yargs.ts', "import { a } from 'yargs';", true],
  ['meta/yargs.ts', "import { a } from 'yargs';", true],
  ['meta/cli/yargs.ts', "import { a } from 'yargs';", false],
  ['pkg/ip/default-builtin.ts', "import a from 'node:fs';", true],
  ['cni/macvlan/namespace-builtin.ts', "import * as a from 'node:fs';", true],
  ['ipam/whole-builtin.ts', "export const a = await import('node:fs');", true],
  ['meta/named-builtin.ts', "import { a } from 'node:fs';", false],
];

let reported: string;
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'manifold-arrows-'));
  cpSync(join(ROOT, 'biome.json'), join(directory, 'biome.json'));
  for (const [file, line] of PROBES) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(
      join(directory, file),
      line.startsWith('export') ? `${line}\n` : `${line}\nexport const b = a;\n`,
    );
  }
  const biome = join(ROOT, 'node_modules/.bin/biome');
  const flags = [
    'lint',
    '--vcs-enabled=false',
    '--only=style/noRestrictedImports',
    '--reporter=github',
    '--max-diagnostics=none',
  ];
  const { stdout, stderr } = spawnSync(biome, [...flags, '.'], { cwd: directory, encoding: 'utf8' });
  reported = stdout + stderr;
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each(PROBES)('%s: %s', (file, _, forbidden) => {
  expect(reported.includes(`/${file},`), reported).toBe(forbidden);
});
