// One network namespace, open: its rtnetlink socket and all that Namespace promises. 1 class, many short methods.
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { ManifoldError } from '../errors/manifold-error.ts';
import {
  listAddressesBody,
  newAddressBody,
  parseAddressMessage,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
  removeAddressBody,
} from './address-message.ts';
import { announce } from './announce.ts';
import { waitForDad } from './dad.ts';
import {
  createExchange,
  type Exchange,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from './exchange.ts';
import { AF_INET, AF_INET6 } from './inet.ts';
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
import { isErrno } from './kernel-error.ts';
import {
  createMacvlan,
  createVeth,
  type Door,
  deleteLinks,
  findLink,
  listLinks,
  moveLink,
  nameLink,
  setLink,
} from './link-operations.ts';
import {
  listNeighboursBody,
  neighbourBody,
  parseNeighbour,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './neighbour-message.ts';
import { type NetlinkSocket, openNetlinkSocket } from './netlink-socket.ts';
import { inNamespace, type OpenNetns } from './netns.ts';
import {
  listRoutesBody,
  newRouteBody,
  parseRoutes,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  removeRouteBody,
} from './route-message.ts';
import { listRulesBody, parseRule, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, ruleBody } from './rule-message.ts';

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
    return listLinks(this.#door());
  }

  link(ref: { readonly index: number } | { readonly name: string }): Link | undefined {
    return findLink(this.#door(), ref);
  }

  createMacvlan(macvlan: NewMacvlan, target: Namespace): Link {
    return createMacvlan(this.#door(), macvlan, doorOf(target));
  }

  createVeth(veth: { readonly name: string; readonly peer: string }, peerTarget: Namespace): void {
    createVeth(this.#door(), veth.name, veth.peer, doorOf(peerTarget));
  }

  setLink(index: number, change: LinkChange): void {
    setLink(this.#door(), index, change);
  }

  moveLink(index: number, target: Namespace, change: { readonly name?: string } = {}): number {
    return moveLink(this.#door(), index, doorOf(target), change.name);
  }

  deleteLinks(indexes: readonly number[]): void {
    deleteLinks(this.#door(), indexes);
  }

  addresses(index = 0): Address[] {
    const { exchange, where } = this.#door();
    const task = index === 0 ? `list addresses in ${where}` : () => `list addresses of ${this.#link(index)}`;
    const request = { type: RTM_GETADDR, body: listAddressesBody(index), task };
    return exchange.dump(request, (payload) => parseAddressMessage(payload, index));
  }

  addAddress(index: number, address: NewAddress): void {
    const task = () => `add address ${address.cidr} to ${this.#link(index)}`;
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    const request = { type: RTM_NEWADDR, flags, body: newAddressBody(index, address), task };
    ignoring(['EEXIST'], () => this.#door().exchange.change(request));
  }

  removeAddress(index: number, cidr: Cidr): void {
    const task = () => `remove address ${cidr} from ${this.#link(index)}`;
    const request = { type: RTM_DELADDR, body: removeAddressBody(index, cidr), task };
    ignoring(['EADDRNOTAVAIL', 'ENODEV'], () => this.#door().exchange.change(request));
  }

  routes(): Route[] {
    const { exchange, where } = this.#door();
    return ([AF_INET, AF_INET6] as const).flatMap((family) => {
      const request = { type: RTM_GETROUTE, body: listRoutesBody(family), task: `list routes in ${where}` };
      return exchange.dump(request, (payload) => parseRoutes(payload, family)).flat();
    });
  }

  addRoute(route: NewRoute): void {
    const task = () => `add route ${describeRoute(route)} on ${this.#link(route.index)}`;
    const flags = NLM_F_CREATE | NLM_F_APPEND;
    const request = { type: RTM_NEWROUTE, flags, body: newRouteBody(route), task };
    ignoring(['EEXIST'], () => this.#door().exchange.change(request));
  }

  removeRoute(route: NewRoute): void {
    const task = () => `remove route ${describeRoute(route)} on ${this.#link(route.index)}`;
    const request = { type: RTM_DELROUTE, body: removeRouteBody(route), task };
    ignoring(['ESRCH', 'ENODEV'], () => this.#door().exchange.change(request));
  }

  neighbours(index?: number): Neighbour[] {
    const { exchange, where } = this.#door();
    const request = { type: RTM_GETNEIGH, body: listNeighboursBody(), task: `list neighbours in ${where}` };
    return exchange.dump(request, (payload) => parseNeighbour(payload, index));
  }

  addNeighbour(neighbour: Neighbour): void {
    const task = () => `add neighbour ${neighbour.address} on ${this.#link(neighbour.index)}`;
    const flags = NLM_F_CREATE | NLM_F_REPLACE;
    this.#door().exchange.change({ type: RTM_NEWNEIGH, flags, body: neighbourBody(neighbour), task });
  }

  removeNeighbour(neighbour: Neighbour): void {
    const task = () => `remove neighbour ${neighbour.address} on ${this.#link(neighbour.index)}`;
    const request = { type: RTM_DELNEIGH, body: neighbourBody(neighbour), task };
    ignoring(['ENOENT', 'ENODEV'], () => this.#door().exchange.change(request));
  }

  rules(family: 4 | 6): Rule[] {
    const { exchange, where } = this.#door();
    const request = {
      type: RTM_GETRULE,
      body: listRulesBody(family),
      task: `list IPv${family} rules in ${where}`,
    };
    return exchange.dump(request, (payload) => parseRule(payload, family));
  }

  addRule(rule: Rule): void {
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    const request = { type: RTM_NEWRULE, flags, body: ruleBody(rule), task: `add ${this.#rule(rule)}` };
    ignoring(['EEXIST'], () => this.#door().exchange.change(request));
  }

  removeRule(rule: Rule): void {
    const request = { type: RTM_DELRULE, body: ruleBody(rule), task: `remove ${this.#rule(rule)}` };
    ignoring(['ENOENT'], () => this.#door().exchange.change(request));
  }

  readSysctl(path: string): string | undefined {
    const file = sysctlFile(path);
    return this.#inside(() => {
      try {
        return readFileSync(file, 'utf8').replace(/\n$/, '');
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw this.#sysctlError('read', path, error);
      }
    });
  }

  writeSysctl(path: string, value: string): void {
    const file = sysctlFile(path);
    this.#inside(() => {
      try {
        writeFileSync(file, value, { flag: 'r+' });
      } catch (error) {
        throw this.#sysctlError(`write "${value}" to`, path, error);
      }
    });
  }

  waitForDad(index: number, timeoutMs: number): void {
    waitForDad(
      () => this.addresses(index),
      timeoutMs,
      () => this.#link(index),
    );
  }

  announce(index: number, addresses: readonly Cidr[], options: AnnounceOptions): string[] {
    const readLink = () => this.link({ index });
    return announce({ index, addresses, readLink, inside: (work) => this.#inside(work) }, options);
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

  /** For the other namespace's calls, which name this one by its descriptor. */
  door(): Door {
    return this.#door();
  }

  get #where(): string {
    return this.path ?? "the host's network namespace";
  }

  #door(): Door {
    if (this.#closed) throw new ManifoldError('internal', `Cannot use ${this.#where}: it is closed`);
    if (this.#exchange === undefined) {
      this.#socket = openNetlinkSocket(this.path === undefined ? undefined : this.#fd, this.#where);
      this.#exchange = createExchange(this.#socket);
    }
    return { exchange: this.#exchange, fd: this.#fd, where: this.#where };
  }

  #inside<T>(work: () => T): T {
    return this.path === undefined ? work() : inNamespace(this.#fd, work);
  }

  #link(index: number): string {
    return `${nameLink(this.#door(), index)} in ${this.#where}`;
  }

  #rule({ family, priority, from, to, table }: Rule): string {
    const words = [
      `IPv${family} rule`,
      priority === undefined ? '' : `${priority}:`,
      from === undefined ? '' : `from ${from}`,
      to === undefined ? '' : `to ${to}`,
      `table ${table} in ${this.#where}`,
    ];
    return words.filter((word) => word !== '').join(' ');
  }

  #sysctlError(verb: string, path: string, error: unknown): ManifoldError {
    const message = `Cannot ${verb} sysctl ${path} in ${this.#where}: ${errorCode(error) ?? String(error)}`;
    return new ManifoldError('kernel', message, { cause: error });
  }
}

function doorOf(namespace: Namespace): Door {
  if (namespace instanceof LinuxNamespace) return namespace.door();
  throw new ManifoldError('internal', 'Cannot reach a namespace that this kernel did not open');
}

/** Runs the work; a refusal by one of these names means that there was nothing to do. */
function ignoring(names: readonly string[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, ...names)) throw error;
  }
}

/** @throws ManifoldError 'bad-config' for a path that leaves /proc/sys */
function sysctlFile(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..')) {
    throw new ManifoldError('bad-config', `Cannot use sysctl "${path}": it must be a path below /proc/sys`);
  }
  return `/proc/sys/${path}`;
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function describeRoute({ dst, gateway, priority, table }: NewRoute): string {
  const via = gateway === undefined ? '' : ` via ${gateway}`;
  const metric = priority === undefined ? '' : ` metric ${priority}`;
  return `${dst}${via}${metric}${table === undefined ? '' : ` table ${table}`}`;
}
