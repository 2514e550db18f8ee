// ADD: its result in every version, and what it must refuse.
import { describe, jsonOf } from '../exec.ts';
import { isObject, objectsOf, stringOf } from '../json.ts';
import { describeLinks, ip } from '../kernel-view.ts';
import { complaintsAbout } from '../result-schema.ts';
import { expectThat, fail, type Kind, notApplicable, type Row } from '../row.ts';
import { isAtLeast, SPEC_VERSIONS, type SpecVersion } from '../spec-versions.ts';
import type { World } from '../world.ts';

const MAKES_INTERFACE: readonly Kind[] = ['interface', 'meta'];

export const ADD_ROWS: readonly Row[] = [
  ...SPEC_VERSIONS.map(result),
  {
    id: 'add.cniVersion',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'the result has the cniVersion that stood on the input, whichever was asked',
    async try(world) {
      for (const cniVersion of usable(world)) {
        const attachment = await world.add(await world.pod(), world.conf({ cniVersion }));
        const seen = attachment.result.cniVersion;
        expectThat(seen === cniVersion, `asked in ${cniVersion}, answered in ${JSON.stringify(seen)}`);
        await world.del(attachment);
      }
    },
  },
  {
    id: 'add.only-result',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'standard output of ADD is the result and nothing else',
    async try(world) {
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf() });
      expectThat(outcome.exitCode === 0 && isObject(jsonOf(outcome)), describe(outcome));
    },
  },
  {
    id: 'add.existing-ifname',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'ADD for an interface name that exists in the container is an error',
    kinds: MAKES_INTERFACE,
    async try(world) {
      const pod = await world.pod();
      await ip(pod.netnsName, 'link', 'add', pod.ifname, 'type', 'veth', 'peer', 'name', 'cnf-other');
      const outcome = await world.call('ADD', { pod, conf: world.conf() });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  {
    id: 'add.failure-changes-nothing',
    level: 'SHOULD',
    section: '2 ADD',
    sentence: 'an ADD that fails since the interface name exists leaves the container as it was',
    kinds: MAKES_INTERFACE,
    async try(world) {
      const pod = await world.pod();
      await ip(pod.netnsName, 'link', 'add', pod.ifname, 'type', 'veth', 'peer', 'name', 'cnf-other');
      await ip(pod.netnsName, 'addr', 'add', '198.51.100.7/24', 'dev', pod.ifname);
      const before = describeLinks(await world.linksOf(pod));
      const outcome = await world.call('ADD', { pod, conf: world.conf() });
      if (outcome.exitCode === 0) fail('ADD succeeded');
      const after = describeLinks(await world.linksOf(pod));
      expectThat(after === before, `before: ${before}; after: ${after}`);
    },
  },
  {
    id: 'add.missing-netns',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'ADD for a network namespace that does not exist is an error',
    kinds: [...MAKES_INTERFACE, 'chained'],
    async try(world) {
      const env = { CNI_NETNS: '/run/netns/cnf-there-is-none' };
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf(), env });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  },
  {
    id: 'add.prev-result',
    level: 'MUST',
    section: '2 ADD; 5 ADD Success',
    sentence: 'the result holds what prevResult held: its interfaces, addresses, routes and DNS',
    kinds: ['chained'],
    async try(world) {
      const pod = await world.pod();
      const { result: seen } = await world.add(pod);
      for (const [key, what] of [
        ['interfaces', 'name'],
        ['ips', 'address'],
        ['routes', 'dst'],
      ] as const) {
        const there = objectsOf(seen[key]).map((entry) => entry[what]);
        const lost = objectsOf(pod.prevResult?.[key]).filter((entry) => !there.includes(entry[what]));
        expectThat(lost.length === 0, `${key} of prevResult are missing: ${JSON.stringify(lost)}`);
      }
      const dns = isObject(seen.dns) ? seen.dns : {};
      const given = isObject(pod.prevResult?.dns) ? pod.prevResult.dns : {};
      const kept = JSON.stringify(dns.nameservers) === JSON.stringify(given.nameservers);
      expectThat(kept, `dns of prevResult is lost: ${JSON.stringify(dns)}`);
    },
  },
  {
    id: 'add.parallel',
    level: 'MUST',
    section: '3 Lifecycle & Ordering',
    sentence: 'ADD for several containers at once succeeds for each, and DEL too',
    async try(world) {
      if (world.target.exclusive) notApplicable('only one attachment can be there at a time');
      const pods = [];
      for (let count = 0; count < 4; count++) pods.push(await world.pod());
      const attachments = await Promise.all(pods.map((pod) => world.add(pod)));
      const addresses = attachments.map(({ result: { ips } }) => stringOf(objectsOf(ips)[0]?.address));
      await Promise.all(attachments.map((attachment) => world.del(attachment)));
      if (!(await givesDistinct(world))) return;
      const distinct = new Set(addresses).size === addresses.length;
      expectThat(distinct, `one address was given twice: ${addresses.join(' ')}`);
    },
  },
  {
    id: 'add.second-ifname',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'one container can be added twice under two interface names; DEL of one leaves the other',
    kinds: [...MAKES_INTERFACE, 'ipam'],
    async try(world) {
      if (world.target.exclusive) notApplicable('only one attachment can be there at a time');
      const first = await world.pod();
      const one = await world.add(first);
      const two = await world.add({ ...first, ifname: 'net2' });
      await world.del(one);
      if (world.target.kind === 'ipam') return;
      const names = (await world.linksOf(first)).map(({ name }) => name);
      expectThat(
        names.includes('net2') && !names.includes(first.ifname),
        `there is ${names.join(' ') || 'nothing'}`,
      );
      await world.del(two);
    },
  },
];

/** A plugin with fixed addresses gives two containers the same one also in turn: then there is nothing to race for. */
async function givesDistinct(world: World): Promise<boolean> {
  const attachments = [await world.add(await world.pod()), await world.add(await world.pod())];
  const addresses = attachments.map(({ result: { ips } }) => stringOf(objectsOf(ips)[0]?.address));
  for (const attachment of attachments) await world.del(attachment);
  return addresses[0] !== undefined && addresses[0] !== addresses[1];
}

/** prevResult came with 0.3.0: a chained plugin cannot be called in older versions. */
function usable(world: World): readonly SpecVersion[] {
  return world.target.versions.filter(
    (version) => world.target.kind !== 'chained' || isAtLeast(version, '0.3.0'),
  );
}

function result(version: SpecVersion): Row {
  return {
    id: `add.result-${version}`,
    level: 'MUST',
    section: `5 ADD Success (of ${version})`,
    sentence: `the result of ADD has the form of version ${version}`,
    async try(world) {
      if (!usable(world).includes(version)) notApplicable(`the plugin cannot be called in ${version}`);
      const attachment = await world.add(await world.pod(), world.conf({ cniVersion: version }));
      const complaints = complaintsAbout(attachment.result, version, world.target.kind);
      expectThat(complaints.length === 0, complaints.join('; '));
      await world.del(attachment);
    },
  };
}
