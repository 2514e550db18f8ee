// The command line of the conformance harness: node test/conformance/main.ts --plugin FILE --conf FILE
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { stderr, stdout } from 'node:process';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { isObject, type Json } from './json.ts';
import type { Kind } from './row.ts';
import { ROWS } from './rows.ts';
import { runRows } from './run.ts';
import { printTable } from './table.ts';
import { detectTarget } from './target.ts';

const KINDS: readonly Kind[] = ['interface', 'chained', 'ipam', 'meta'];

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stderr.write('stopping: the rows under way are finished, so that nothing of them stays\n');
      stop.abort();
    });
  }
  const options = await yargs(hideBin(process.argv))
    .usage('$0 --plugin FILE --conf FILE\n\nHolds a CNI plugin to CNI specification 1.1.0. Needs root.')
    .option('plugin', { type: 'string', demandOption: true, describe: 'executable of the plugin' })
    .option('conf', {
      type: 'string',
      demandOption: true,
      describe: 'its network configuration, or a list of them',
    })
    .option('kind', { choices: KINDS, describe: 'what the plugin is; found out when not given' })
    .option('cni-path', {
      type: 'string',
      describe: 'directories of delegates; the directory of the plugin when not given',
    })
    .option('allow', {
      type: 'string',
      array: true,
      default: [],
      describe: 'row-id=reason: a row known to fail',
    })
    .option('row', { type: 'string', array: true, describe: 'only these rows, or groups such as del' })
    .option('setup', {
      type: 'string',
      describe: 'shell commands that prepare the namespace that stands for the host',
    })
    .option('host', { type: 'boolean', default: false, describe: 'use the real host and its devices' })
    .option('jobs', { type: 'number', default: 4, describe: 'rows at a time' })
    .option('json', { type: 'boolean', default: false, describe: 'print JSON instead of a table' })
    .option('verbose', { type: 'boolean', default: false, describe: 'also print the rows that do not apply' })
    .strict()
    .parseAsync();

  const plugin = resolve(options.plugin);
  const conf = JSON.parse(readFileSync(options.conf, 'utf8')) as Json;
  if (!isObject(conf)) throw new Error(`Cannot use ${options.conf}: it is no JSON object`);
  const target = await detectTarget({
    plugin,
    conf,
    cniPath: options.cniPath?.split(':') ?? [dirname(plugin)],
    kind: options.kind,
    isolated: !options.host,
    setup: options.setup,
  });
  const allow = Object.fromEntries(options.allow.map(splitAllow));
  const unknown = Object.keys(allow).filter((id) => !ROWS.some((row) => row.id === id));
  if (unknown.length > 0) throw new Error(`Cannot allow ${unknown.join(', ')}: there is no such row`);
  const chosen = ROWS.filter(
    ({ id }) => options.row?.some((part) => id === part || id.startsWith(`${part}.`)) ?? true,
  );
  if (chosen.length === 0) throw new Error(`Cannot run ${options.row?.join(', ')}: there is no such row`);

  const reports = await runRows(target, chosen, {
    allow,
    jobs: options.host ? 1 : options.jobs,
    signal: stop.signal,
  });
  if (stop.signal.aborted) return 130;
  if (options.json) {
    const { kind, versions, exclusive } = target;
    stdout.write(`${JSON.stringify({ plugin, kind, versions, exclusive, rows: reports }, undefined, 2)}\n`);
  } else {
    stdout.write(`${plugin}: ${target.kind} plugin, versions ${target.versions.join(' ')}\n\n`);
    stdout.write(`${printTable(reports, options.verbose)}\n`);
  }
  return reports.some(({ verdict }) => verdict === 'fail') ? 1 : 0;
}

function splitAllow(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new Error(`Cannot allow "${text}": it is not row-id=reason`);
  return [text.slice(0, at), text.slice(at + 1)];
}

try {
  process.exitCode = await main();
} catch (error) {
  stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
