// What a chained plugin finds: an interface that another plugin made, and that plugin's result.
import { isObject, type JsonObject, objectsOf } from './json.ts';
import { ipBatch, readLinks } from './kernel-view.ts';
import type { Pod } from './world.ts';

/** Makes the interface in the pod and returns the result; addresses are those of the configuration's prevResult. */
export async function makeChainedPod(
  pod: Pod,
  host: string | undefined,
  serial: number,
  conf: JsonObject,
): Promise<JsonObject> {
  const given = isObject(conf.prevResult) ? conf.prevResult : {};
  const addresses = objectsOf(given.ips).map((entry) => String(entry.address));
  const ips = addresses.length > 0 ? addresses : [`10.86.${serial}.2/24`];
  const peer = `cnf${serial}-${pod.containerId.slice(-8)}`.slice(0, 15);
  await ipBatch(host, [
    `link add ${peer} type veth peer name ${pod.ifname} netns ${pod.netnsName}`,
    `link set ${peer} up`,
  ]);
  await ipBatch(pod.netnsName, [
    ...ips.map((address) => `addr add ${address} dev ${pod.ifname}${address.includes(':') ? ' nodad' : ''}`),
    `link set ${pod.ifname} up`,
  ]);
  const link = (await readLinks(pod.netnsName)).find(({ name }) => name === pod.ifname);
  return {
    interfaces: [{ name: pod.ifname, mac: link?.mac ?? '', sandbox: pod.netnsPath }],
    ips: ips.map((address) => ({ version: address.includes(':') ? '6' : '4', address, interface: 0 })),
    routes: [],
    dns: isObject(given.dns) ? given.dns : { nameservers: ['192.0.2.53'] },
  };
}
