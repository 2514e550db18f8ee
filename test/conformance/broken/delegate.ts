// How the interface plugin that is broken on purpose executes its IPAM plugin.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { isObject, type JsonObject } from '../json.ts';
import { type Call, note, Refusal } from './call.ts';

/** @throws Refusal with what the IPAM plugin said */
export function ipamAdd(call: Call): JsonObject {
  const { conf, sins } = call;
  if (!isObject(conf.ipam)) return {};
  const fixed = { ips: [{ address: '10.90.0.9/24', gateway: '10.90.0.1' }] };
  if (sins('delegate.found-by-path') && find(call) !== undefined) return fixed;
  if (sins('delegate.not-found') && find(call) === undefined) return fixed;
  const outcome = start(call, 'ADD');
  if (outcome instanceof Refusal) throw outcome;
  const result: unknown = JSON.parse(outcome);
  return isObject(result) ? result : {};
}

/** Any verb but ADD. @returns what the IPAM plugin said where it failed */
export function ipamCall(call: Call): Refusal | undefined {
  if (!isObject(call.conf.ipam)) return undefined;
  const outcome = start(call, call.verb);
  return outcome instanceof Refusal ? outcome : undefined;
}

function start(call: Call, verb: string): string | Refusal {
  const { conf, sins } = call;
  const file = find(call);
  if (file === undefined) return new Refusal(999, 'the IPAM plugin is not in CNI_PATH');
  const other = sins('delegate.environment') ? { CNI_IFNAME: 'ipam0' } : {};
  const part: JsonObject = { cniVersion: conf.cniVersion, name: conf.name, ipam: conf.ipam };
  const input = JSON.stringify(sins('delegate.input') ? part : conf);
  const child = spawnSync(file, [], {
    input,
    encoding: 'utf8',
    env: { ...env, CNI_COMMAND: verb, ...other },
  });
  if (!sins('delegate.stderr') && child.stderr !== '') note(child.stderr.trim());
  if (child.status === 0) return child.stdout;
  const error: unknown = JSON.parse(child.stdout);
  return isObject(error) ? new Refusal(Number(error.code), `${error.msg}`) : new Refusal(999, child.stdout);
}

function find({ conf, path }: Call): string | undefined {
  const type = isObject(conf.ipam) ? `${conf.ipam.type}` : '';
  return path
    .split(':')
    .map((directory) => join(directory, type))
    .find((file) => existsSync(file));
}
