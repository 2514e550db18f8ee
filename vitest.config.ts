// Kinds of tests: unit (no root, no built files, in parallel), root (the real kernel, one file after the other), kube (a
// real API server that the files share, one after the other) and vm (real virtual functions, in a virtual machine).
import { defineConfig } from 'vitest/config';

const execArgv = ['--disable-warning=ExperimentalWarning'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{pkg,cni,ipam,meta}/**/*.test.ts'],
          pool: 'forks',
          execArgv,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'root',
          include: ['test/**/*.test.ts'],
          exclude: ['test/{kube,vm}/**'],
          pool: 'forks',
          execArgv,
          // Links, namespaces and the machine's two cores are shared by all of them.
          fileParallelism: false,
          globalSetup: ['test/kit/require-root.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'kube',
          include: ['test/kube/**/*.test.ts'],
          pool: 'forks',
          execArgv,
          fileParallelism: false,
          globalSetup: ['test/kit/require-root.ts', 'test/kit/control-plane/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['test/vm/vm.test.ts'],
          pool: 'forks',
          execArgv,
          fileParallelism: false,
          // The machine works beside the other projects: its tests come last, and wait for what is not over yet.
          sequence: { groupOrder: 1 },
          globalSetup: ['test/vm/run/global-setup.ts'],
          // The run has limits of its own; before it, the machine may have to be downloaded.
          testTimeout: 3_600_000,
        },
      },
      {
        test: {
          name: 'vm-fixture',
          include: ['test/vm/**/*.test.ts'],
          exclude: ['test/vm/vm.test.ts'],
          pool: 'forks',
          execArgv,
          fileParallelism: false,
          // After vm: each boots machines of its own.
          sequence: { groupOrder: 2 },
          testTimeout: 3_600_000,
        },
      },
    ],
  },
});
