// The echo plugin as a program of its own: the other half of tests that compare exec with a call in this process.
import { runProgram } from '../../pkg/cni/program.ts';
import { readStdin, writeAll } from '../../pkg/cni/stdio.ts';
import { echoPlugin } from './echo-plugin.ts';

process.exit(
  await runProgram(echoPlugin, {
    env: process.env,
    plugins: new Map(),
    readStdin,
    stdout: (text) => writeAll(1, text),
    stderr: (text) => writeAll(2, text),
  }),
);
