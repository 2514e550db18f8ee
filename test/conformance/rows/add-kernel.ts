// ADD: the kernel must show what the result says.
import { type JsonObject, objectsOf, stringOf } from '../json.ts';
import {
  canonicalAddress,
  canonicalCidr,
  describeLinks,
  type LinkView,
  readLinks,
  readRoutes,
} from '../kernel-view.ts';
import { expectThat, fail, type Kind, notApplicable, type Row } from '../row.ts';
import type { Attachment, World } from '../world.ts';

const IN_POD: readonly Kind[] = ['interface', 'meta', 'chained'];

export const ADD_KERNEL_ROWS: readonly Row[] = [
  {
    id: 'kernel.interface',
    level: 'MUST',
    section: '2 ADD',
    sentence: 'ADD creates the interface CNI_IFNAME in the namespace CNI_NETNS',
    kinds: ['interface', 'meta'],
    async try(world) {
      const pod = await world.pod({ ifname: 'cnf-eth7' });
      await world.add(pod);
      const links = await world.linksOf(pod);
      const there = links.some(({ name }) => name === 'cnf-eth7');
      expectThat(there, `the namespace has ${describeLinks(links) || 'no interface'}`);
    },
  },
  {
    id: 'kernel.sandbox',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'sandbox of the interface in the container is the value of CNI_NETNS',
    kinds: IN_POD,
    async try(world) {
      const attachment = await world.add(await world.pod());
      const { sandbox } = reported(attachment);
      expectThat(sandbox === attachment.pod.netnsPath, `sandbox is ${JSON.stringify(sandbox)}`);
    },
  },
  {
    id: 'kernel.mac',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'mac of the result is the hardware address that the kernel shows',
    kinds: IN_POD,
    async try(world) {
      const attachment = await world.add(await world.pod());
      const mac = stringOf(reported(attachment).mac);
      if (mac === undefined) notApplicable('the result has no mac');
      const link = await linkOf(world, attachment);
      expectThat(mac.toLowerCase() === link.mac, `mac is ${mac}, and the kernel has ${link.mac}`);
    },
  },
  {
    id: 'kernel.mtu',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'mtu of the result is the MTU that the kernel shows',
    kinds: IN_POD,
    async try(world) {
      const attachment = await world.add(await world.pod());
      const mtu = reported(attachment).mtu;
      if (mtu === undefined || mtu === 0) notApplicable('the result has no mtu');
      const link = await linkOf(world, attachment);
      expectThat(mtu === link.mtu, `mtu is ${JSON.stringify(mtu)}, and the kernel has ${link.mtu}`);
    },
  },
  {
    id: 'kernel.addresses',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'every address of the result stands on the interface that it names',
    kinds: IN_POD,
    async try(world) {
      const attachment = await world.add(await world.pod());
      await expectAddresses(world, attachment);
    },
  },
  {
    id: 'kernel.no-other-address',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'the interface has no address that the result does not name',
    kinds: IN_POD,
    async try(world) {
      const attachment = await world.add(await world.pod());
      const named = objectsOf(attachment.result.ips).map(({ address }) => canonicalCidr(`${address}`));
      const link = await linkOf(world, attachment);
      const others = link.addresses.filter((address) => !named.includes(address));
      expectThat(others.length === 0, `there is ${others.join(' ')} too`);
    },
  },
  {
    id: 'kernel.routes',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'every route of the result stands in the container',
    kinds: IN_POD,
    async try(world) {
      const attachment = await world.add(await world.pod());
      if (objectsOf(attachment.result.routes).length === 0) notApplicable('the result has no routes');
      await expectRoutes(attachment);
    },
  },
  {
    id: 'kernel.all-listed',
    level: 'MUST',
    section: '5 ADD Success',
    sentence: 'interfaces lists every interface that the attachment made, on the host too',
    kinds: ['interface', 'meta'],
    async try(world) {
      const before = world.host === undefined ? [] : await readLinks(world.host);
      const attachment = await world.add(await world.pod());
      const after = world.host === undefined ? [] : await readLinks(world.host);
      const made = after.filter(({ name }) => !before.some((link) => link.name === name));
      const listed = objectsOf(attachment.result.interfaces);
      const inPod = (await world.linksOf(attachment.pod)).filter(
        ({ kind }) => kind !== 'sit' && kind !== 'ipip',
      );
      const missing = [
        ...inPod.filter(({ name }) => !listed.some((entry) => entry.name === name && entry.sandbox)),
        ...made.filter(({ name }) => !listed.some((entry) => entry.name === name && !entry.sandbox)),
      ];
      expectThat(missing.length === 0, `not in the result: ${describeLinks(missing)}`);
    },
  },
];

/** The entry of CNI_IFNAME among the interfaces of the result. */
function reported(attachment: Attachment): JsonObject {
  const { result, pod } = attachment;
  const own = objectsOf(result.interfaces).filter((entry) => entry.name === pod.ifname);
  return (
    own.find((entry) => entry.sandbox !== undefined) ??
    own[0] ??
    fail(`the result does not name ${pod.ifname}`)
  );
}

async function linkOf(world: World, { pod }: Attachment): Promise<LinkView> {
  const link = (await world.linksOf(pod)).find(({ name }) => name === pod.ifname);
  return link ?? fail(`the kernel has no ${pod.ifname} in the container`);
}

async function expectAddresses(world: World, attachment: Attachment): Promise<void> {
  const ips = objectsOf(attachment.result.ips);
  if (ips.length === 0) notApplicable('the result has no addresses');
  const interfaces = objectsOf(attachment.result.interfaces);
  const links = await world.linksOf(attachment.pod);
  for (const entry of ips) {
    const owner = typeof entry.interface === 'number' ? interfaces[entry.interface] : reported(attachment);
    // An address of a host's interface, or of another container's, is not seen from here.
    if (owner?.sandbox !== attachment.pod.netnsPath) continue;
    const link = links.find(({ name }) => name === owner.name);
    const there = link?.addresses.includes(canonicalCidr(`${entry.address}`)) === true;
    expectThat(there, `${entry.address} is missing: ${describeLinks(links)}`);
  }
}

async function expectRoutes(attachment: Attachment): Promise<void> {
  const routes = await readRoutes(attachment.pod.netnsName);
  for (const wanted of objectsOf(attachment.result.routes)) {
    const dst = canonicalCidr(`${wanted.dst}`);
    const gw = stringOf(wanted.gw);
    const found = routes.filter(
      (route) => route.dst === dst && (gw === undefined || route.gw === canonicalAddress(gw)),
    );
    expectThat(found.length > 0, `no route ${JSON.stringify(wanted)} among ${JSON.stringify(routes)}`);
    const pairs = [
      ['mtu', 'mtu'],
      ['advmss', 'advmss'],
      ['priority', 'metric'],
      ['table', 'table'],
    ] as const;
    for (const [key, shown] of pairs) {
      const good = wanted[key] === undefined || found.some((route) => route[shown] === wanted[key]);
      expectThat(
        good,
        `route ${dst} has ${key} ${found.map((route) => route[shown] ?? 'none').join(', ')}, not ${wanted[key]}`,
      );
    }
  }
}
