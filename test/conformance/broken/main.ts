// Entry of the plugins that are broken on purpose: main KIND SIN. It checks what the specification says, but for the sin.
import { readFileSync } from 'node:fs';
import { argv, env, exit, stdout } from 'node:process';
import { isObject, type JsonObject, objectsOf } from '../json.ts';
import { isAtLeast, SPEC_VERSIONS } from '../spec-versions.ts';
import { type BrokenPlugin, type Call, type PluginKind, Refusal, refuse, variable } from './call.ts';
import { CHAINED } from './chained.ts';
import { INTERFACE } from './interface.ts';
import { IPAM } from './ipam.ts';

const PLUGINS: Readonly<Record<PluginKind, BrokenPlugin>> = {
  interface: INTERFACE,
  chained: CHAINED,
  ipam: IPAM,
};
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  GC: ['CNI_PATH'],
  STATUS: [],
  VERSION: [],
};
const SINCE = { CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' } as const;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

function main(kind: PluginKind, sin: string): void {
  const sins = (...names: string[]): boolean => names.includes(sin);
  const verb = variable('CNI_COMMAND');
  try {
    const stdin = readFileSync(0, 'utf8');
    if (verb === 'VERSION') {
      printVersion(stdin, sins);
      return;
    }
    checkEnvironment(verb, sins);
    const conf = parseConf(stdin, sins);
    const cniVersion = checkVersion(verb, `${conf.cniVersion}`, sins);
    const call: Call = {
      verb,
      containerId: variable('CNI_CONTAINERID'),
      netns: variable('CNI_NETNS'),
      ifname: variable('CNI_IFNAME'),
      path: variable('CNI_PATH'),
      conf,
      cniVersion,
      sins,
    };
    run(PLUGINS[kind], call);
  } catch (error) {
    if (error instanceof Refusal) refuse(sin, error.code, error.message);
    throw error;
  }
}

function run(plugin: BrokenPlugin, call: Call): void {
  const { sins, verb } = call;
  if (verb === 'ADD') {
    const result = inVersion(plugin.add(call), call.cniVersion);
    const wrong = sins(`add.result-${call.cniVersion}`) ? { routes: 'none' } : {};
    const cniVersion = sins('add.cniVersion') ? '1.0.0' : call.cniVersion;
    if (sins('add.only-result')) stdout.write('made an interface\n');
    stdout.write(JSON.stringify({ ...result, cniVersion, ...wrong }));
    return;
  }
  if (verb === 'DEL') plugin.del(call);
  if (verb === 'CHECK') plugin.check(call);
  if (verb === 'STATUS') plugin.status(call);
  if (verb === 'GC') plugin.gc(call);
  if (sins(`${verb.toLowerCase()}.quiet`)) stdout.write('done\n');
}

function printVersion(stdin: string, sins: Call['sins']): void {
  if (sins('version.only-command') && variable('CNI_PATH') === '')
    throw new Refusal(4, 'CNI_PATH is missing');
  const asked = isObject(JSON.parse(stdin)) ? `${JSON.parse(stdin).cniVersion}` : '';
  const known = SPEC_VERSIONS.some((version) => version === asked);
  if (sins('version.unknown-asker') && !known) throw new Refusal(1, `version ${asked} is not known`);
  const cniVersion = known && !sins('version.cniVersion') ? asked : '1.1.0';
  const supportedVersions = sins('version.answers') ? SPEC_VERSIONS.join() : SPEC_VERSIONS;
  stdout.write(JSON.stringify({ cniVersion, supportedVersions }));
}

function checkEnvironment(verb: string, sins: Call['sins']): void {
  const needed = NEEDED[verb];
  if (needed === undefined)
    throw new Refusal(sins('env.unknown-command') ? 100 : 4, `CNI_COMMAND ${verb} is unknown`);
  for (const name of needed) {
    const excused = name === 'CNI_CONTAINERID' && sins('env.empty-container-id') && env[name] !== undefined;
    if (variable(name) === '' && !sins(`env.${verb}-without-${name}`) && !excused) {
      throw new Refusal(4, `${name} is missing`);
    }
  }
  const attached = needed.includes('CNI_IFNAME');
  if (attached) checkNames(variable('CNI_CONTAINERID'), variable('CNI_IFNAME'), sins);
  if (verb === 'DEL' && sins('del.netns-absent', 'del.netns-empty') && variable('CNI_NETNS') === '') {
    throw new Refusal(4, 'CNI_NETNS is missing');
  }
  if (sins('env.unrelated') && variable('CNI_FROB') !== '') throw new Refusal(4, 'CNI_FROB is not known');
  if (sins('env.args') && variable('CNI_ARGS').includes('FROB'))
    throw new Refusal(4, 'CNI_ARGS has unknown keys');
}

function checkNames(containerId: string, ifname: string, sins: Call['sins']): void {
  if (!NAME.test(containerId) && containerId !== '' && !sins('env.bad-container-id')) {
    throw new Refusal(
      4,
      sins('env.bad-container-id-named') ? 'bad characters' : 'CNI_CONTAINERID has bad characters',
    );
  }
  if (sins('env.longest-names') && containerId.length > 60)
    throw new Refusal(4, 'CNI_CONTAINERID is too long');
  const bad = ifname.length > 15 || /[/:\s]/.test(ifname) || ifname === '.' || ifname === '..';
  if (bad && !sins('env.bad-ifname')) throw new Refusal(4, 'CNI_IFNAME is no name of an interface');
}

function parseConf(stdin: string, sins: Call['sins']): JsonObject {
  if (stdin === '') throw new Refusal(sins('config.empty-input') ? 7 : 6, 'standard input is empty');
  const conf = parseJson(stdin, sins);
  if (!isObject(conf))
    throw new Refusal(sins('config.not-object') ? 100 : 6, 'the configuration is no object');
  const name = conf.name;
  if (name === undefined && !sins('config.missing-name'))
    throw new Refusal(7, 'the configuration has no name');
  if (name !== undefined && !NAME.test(`${name}`) && !sins('config.bad-name'))
    throw new Refusal(7, 'bad name');
  if (sins('config.unknown-keys') && 'unknownKey' in conf) throw new Refusal(2, 'unknownKey is not known');
  if (sins('config.reserved-keys') && 'runtimeConfig' in conf)
    throw new Refusal(2, 'runtimeConfig is not known');
  return conf;
}

function parseJson(stdin: string, sins: Call['sins']): unknown {
  try {
    return JSON.parse(stdin);
  } catch (error) {
    throw new Refusal(sins('config.bad-json') ? 7 : 6, `no JSON: ${error}`);
  }
}

function checkVersion(verb: string, asked: string, sins: Call['sins']): string {
  const known = SPEC_VERSIONS.some((version) => version === asked);
  if (!known && !sins(`version.unsupported-${verb}`))
    throw new Refusal(1, `version ${asked} is not supported`);
  const since = verb === 'CHECK' || verb === 'STATUS' || verb === 'GC' ? SINCE[verb] : '0.1.0';
  const old = known && !isAtLeast(asked, since) && !sins(`${verb.toLowerCase()}.too-old`);
  if (old) throw new Refusal(1, `version ${asked} has no ${verb}`);
  return asked;
}

/** The newest form of a result in the form of an older version. */
function inVersion(result: JsonObject, version: string): JsonObject {
  const ips = objectsOf(result.ips);
  if (!isAtLeast(version, '0.3.0')) {
    const first = ips[0];
    const routes = objectsOf(result.routes).map(({ dst, gw }) => (gw === undefined ? { dst } : { dst, gw }));
    const ip4 = first === undefined ? {} : { ip4: { ip: first.address, gateway: first.gateway, routes } };
    return { ...ip4, dns: result.dns };
  }
  if (isAtLeast(version, '1.1.0')) return result;
  const interfaces = objectsOf(result.interfaces).map(({ mtu: _, ...rest }) => rest);
  const routes = objectsOf(result.routes).map(({ dst, gw }) => (gw === undefined ? { dst } : { dst, gw }));
  const family = (address: unknown): string => (`${address}`.includes(':') ? '6' : '4');
  const versioned = ips.map((ip) => ({ ...ip, version: family(ip.address) }));
  const there = result.interfaces === undefined ? {} : { interfaces };
  return { ...result, ...there, routes, ips: isAtLeast(version, '1.0.0') ? ips : versioned };
}

const [, , kind = '', sin = ''] = argv;
if (kind !== 'interface' && kind !== 'chained' && kind !== 'ipam') exit(2);
main(kind, sin);
