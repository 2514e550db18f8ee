// One network namespace, open: its descriptor, its rtnetlink socket, and each promise of Namespace in a line or two.
import { closeSync } from 'node:fs';
import { isManifoldError, ManifoldError } from '../errors/manifold-error.ts';
import { announce } from './announce.ts';
import { waitForDad } from './dad.ts';
import { createExchange, type Exchange } from './exchange.ts';
import * as ip from './ip-operations.ts';
import type {
  Address,
  AnnounceOptions,
  Cidr,
  Link,
  LinkChange,
  Namespace,
  Neighbour,
  NewAddress,
  NewMacvlan,
  NewRoute,
  Route,
  Rule,
} from './kernel.ts';
import * as links from './link-operations.ts';
import { type NetlinkSocket, openNetlinkSocket } from './netlink-socket.ts';
import { inNamespace, type OpenNetns } from './netns.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';

export class LinuxNamespace implements Namespace {
  readonly path: string | undefined;
  readonly id: string;
  readonly #fd: number;
  #socket: NetlinkSocket | undefined;
  #exchange: Exchange | undefined;
  #closed = false;

  /** Takes over the descriptor. @param path undefined for the namespace of this process */
  constructor(netns: OpenNetns, path: string | undefined) {
    this.#fd = netns.fd;
    this.id = netns.id;
    this.path = path;
  }

  links(): Link[] {
    return links.listLinks(this.#door());
  }

  link(ref: { readonly index: number } | { readonly name: string }): Link | undefined {
    return links.findLink(this.#door(), ref);
  }

  createMacvlan(macvlan: NewMacvlan, target: Namespace): Link {
    return links.createMacvlan(this.#door(), macvlan, doorOf(target));
  }

  createVeth(veth: { readonly name: string; readonly peer: string }, peerTarget: Namespace): void {
    links.createVeth(this.#door(), veth.name, veth.peer, doorOf(peerTarget));
  }

  setLink(index: number, change: LinkChange): void {
    links.setLink(this.#door(), index, change);
  }

  moveLink(index: number, target: Namespace, change: { readonly name?: string } = {}): number {
    return links.moveLink(this.#door(), index, doorOf(target), change.name);
  }

  deleteLinks(indexes: readonly number[]): void {
    links.deleteLinks(this.#door(), indexes);
  }

  addresses(index = 0): Address[] {
    return ip.listAddresses(this.#door(), index);
  }

  addAddress(index: number, address: NewAddress): void {
    ip.addAddress(this.#door(), index, address);
  }

  removeAddress(index: number, cidr: Cidr): void {
    ip.removeAddress(this.#door(), index, cidr);
  }

  routes(): Route[] {
    return ip.listRoutes(this.#door());
  }

  addRoute(route: NewRoute): void {
    ip.addRoute(this.#door(), route);
  }

  removeRoute(route: NewRoute): void {
    ip.removeRoute(this.#door(), route);
  }

  neighbours(index?: number): Neighbour[] {
    return ip.listNeighbours(this.#door(), index);
  }

  addNeighbour(neighbour: Neighbour): void {
    ip.addNeighbour(this.#door(), neighbour);
  }

  removeNeighbour(neighbour: Neighbour): void {
    ip.removeNeighbour(this.#door(), neighbour);
  }

  rules(family: 4 | 6): Rule[] {
    return ip.listRules(this.#door(), family);
  }

  addRule(rule: Rule): void {
    ip.addRule(this.#door(), rule);
  }

  removeRule(rule: Rule): void {
    ip.removeRule(this.#door(), rule);
  }

  readSysctl(path: string): string | undefined {
    return this.inside(() => readSysctl(path, this.#where));
  }

  writeSysctl(path: string, value: string): void {
    this.inside(() => writeSysctl(path, value, this.#where));
  }

  waitForDad(index: number, timeoutMs: number): void {
    const door = this.#door();
    const link = () => `${links.nameLink(door, index)} in ${door.where}`;
    waitForDad(() => ip.listAddresses(door, index), timeoutMs, link);
  }

  announce(index: number, addresses: readonly Cidr[], options: AnnounceOptions): string[] {
    const readLink = () => this.link({ index });
    const inside = <T>(work: () => T) => this.inside(work);
    try {
      const notifyPeers = this.#kernelAnnounces(index, addresses)
        ? (mac: string) => this.setLink(index, { mac })
        : undefined;
      return announce({ index, addresses, readLink, notifyPeers, inside }, options);
    } catch (error) {
      // An address that works must not be lost for want of an announcement.
      if (isManifoldError(error)) return [error.message];
      throw error;
    }
  }

  /**
   * With arp_notify and ndisc_notify the kernel announces each address of a link whose MAC is set, to the same value
   * too (inetdev_event, ndisc_netdev_event). A tentative one is announced when it is found to be unique.
   */
  #kernelAnnounces(index: number, addresses: readonly Cidr[]): boolean {
    const name = this.link({ index })?.name;
    if (name === undefined) return false;
    const there = new Set(this.addresses(index).map(({ cidr }) => cidr));
    if (!addresses.every((cidr) => there.has(cidr))) return false;
    const families = new Set(addresses.map((cidr) => (cidr.includes(':') ? 6 : 4)));
    return [...families].every((family) => {
      const path = family === 4 ? `net/ipv4/conf/${name}/arp_notify` : `net/ipv6/conf/${name}/ndisc_notify`;
      return this.readSysctl(path) === '1';
    });
  }

  close(): void {
    // The host's is shared by all who ask for it.
    if (this.#closed || this.path === undefined) return;
    this.#closed = true;
    this.#socket?.close();
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** For the calls of another namespace, which names this one by its descriptor. */
  door(): links.Door {
    return this.#door();
  }

  /** Valid until close(). */
  get fd(): number {
    this.#requireOpen();
    return this.#fd;
  }

  get #where(): string {
    return this.path ?? "the host's network namespace";
  }

  /** A closed descriptor's number may be another file's by now. */
  #requireOpen(): void {
    if (this.#closed) throw new ManifoldError('internal', `Cannot use ${this.#where}: it is closed`);
  }

  #door(): links.Door {
    this.#requireOpen();
    if (this.#exchange === undefined) {
      this.#socket = openNetlinkSocket(this.path === undefined ? undefined : this.#fd, this.#where);
      this.#exchange = createExchange(this.#socket);
    }
    return { exchange: this.#exchange, fd: this.#fd, where: this.#where };
  }

  /** Runs synchronous work with the thread in this namespace. */
  inside<T>(work: () => T): T {
    this.#requireOpen();
    return this.path === undefined ? work() : inNamespace(this.#fd, work, this.#where);
  }
}

function doorOf(namespace: Namespace): links.Door {
  if (namespace instanceof LinuxNamespace) return namespace.door();
  throw new ManifoldError('internal', 'Cannot reach a namespace that this kernel did not open');
}
