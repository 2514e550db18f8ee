// What is done to links beyond one message: changes, moves, deletion in groups.

import { string, u32 } from './attributes.ts';
import { type Exchange, NLM_F_CREATE, NLM_F_EXCL, type Task } from './exchange.ts';
import type { Link, LinkChange, NewMacvlan } from './kernel.ts';
import { isErrno, kernelError } from './kernel-error.ts';
import {
  altnamesBody,
  getLinkBody,
  IFLA_GROUP,
  IFLA_IFNAME,
  IFLA_NET_NS_FD,
  linkHeader,
  listLinksBody,
  newMacvlanBody,
  newVethBody,
  parseLink,
  RTM_DELLINK,
  RTM_DELLINKPROP,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_NEWLINKPROP,
  RTM_SETLINK,
  setLinkBody,
} from './link-message.ts';
import { vfSettings } from './virtual-function.ts';

const EEXIST = 17;
const ENODEV = 19;
const INDEX_TRIES = 20;

/** A namespace as seen from here: its socket, its descriptor and what to call it in errors. */
export interface Door {
  readonly exchange: Exchange;
  readonly fd: number;
  /** "/run/netns/a" or "the host's namespace". */
  readonly where: string;
}

type LinkRef = { readonly index: number } | { readonly name: string };

export function listLinks({ exchange, where }: Door): Link[] {
  return exchange.dump(
    { type: RTM_GETLINK, body: listLinksBody(), task: `list links in ${where}` },
    parseLink,
  );
}

export function findLink({ exchange, where }: Door, ref: LinkRef): Link | undefined {
  const what = 'index' in ref ? `link ${ref.index}` : `link ${ref.name}`;
  try {
    return exchange.get(
      { type: RTM_GETLINK, body: getLinkBody(ref), task: `read ${what} in ${where}` },
      parseLink,
    );
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined;
    throw error;
  }
}

/** "eth0 (index 5)": for errors only, as it asks the kernel. */
export function nameLink(door: Door, index: number): string {
  const link = findLink(door, { index });
  return link === undefined ? `link ${index}` : `${link.name} (index ${index})`;
}

export function createMacvlan(door: Door, macvlan: NewMacvlan, target: Door): Link {
  const task = () =>
    `create macvlan ${macvlan.name} over ${nameLink(door, macvlan.parentIndex)} of ${door.where} in ${target.where}`;
  const flags = NLM_F_CREATE | NLM_F_EXCL;
  const create = (index?: number) => {
    const body = newMacvlanBody(macvlan, target.fd, index);
    door.exchange.change({ type: RTM_NEWLINK, flags, body, task });
  };
  try {
    create();
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || findLink(target, macvlan) !== undefined) throw error;
    createUnderFreeIndex([door, target], create);
  }
  const link = findLink(target, { name: macvlan.name });
  if (link === undefined) throw kernelError(task(), ENODEV, 'created, and gone at once');
  return link;
}

/**
 * Before Linux 6.14 the kernel looks for a link of the new one's name where its parent is, not where it will be: a pod
 * could have no eth0 on a node that has one. Where an index is asked for, it looks for that instead.
 */
function createUnderFreeIndex(places: readonly Door[], create: (index: number) => void): void {
  for (let tries = 0; ; tries += 1) {
    const index = 1 + Math.max(...places.flatMap((place) => listLinks(place).map((link) => link.index)));
    try {
      create(index);
      return;
    } catch (error) {
      // Another call was quicker and has it now: in the parent's namespace, in the other one.
      if (tries === INDEX_TRIES || !isErrno(error, 'EEXIST', 'EBUSY')) throw error;
    }
  }
}

export function createVeth(door: Door, name: string, peer: string, peerTarget: Door): void {
  door.exchange.change({
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: newVethBody(name, peer, peerTarget.fd),
    task: `create veth ${name} in ${door.where} with peer ${peer} in ${peerTarget.where}`,
  });
}

export function setLink(door: Door, index: number, change: LinkChange): void {
  const { exchange, where } = door;
  const task = (what: string) => () => `set ${what} of ${nameLink(door, index)} in ${where}`;
  const { addAltnames = [], removeAltnames = [], vf, ...plain } = change;
  if (removeAltnames.length > 0) {
    const body = altnamesBody(index, removeAltnames);
    const doing = () => `remove altname ${removeAltnames.join(', ')} of ${nameLink(door, index)} in ${where}`;
    exchange.change({ type: RTM_DELLINKPROP, body, task: doing });
  }
  const body = setLinkBody(index, plain);
  if (body !== undefined) exchange.change({ type: RTM_NEWLINK, body, task: task(describe(plain)) });
  if (addAltnames.length > 0) {
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    const names = altnamesBody(index, addAltnames);
    exchange.change({
      type: RTM_NEWLINKPROP,
      flags,
      body: names,
      task: task(`altname ${addAltnames.join(', ')}`),
    });
  }
  for (const setting of vf === undefined ? [] : vfSettings(vf)) {
    const what = `${setting.what} on virtual function ${vf?.index ?? ''}`;
    exchange.change({ type: RTM_SETLINK, body: [linkHeader(index), setting.attribute], task: task(what) });
  }
}

/**
 * Moves and renames in one message. A refusal leaves the link here, though down.
 * @returns the index in the target
 */
export function moveLink(door: Door, index: number, target: Door, name: string | undefined): number {
  const before = findLink(door, { index });
  const as = name === undefined ? '' : ` as ${name}`;
  const task = `move ${before?.name ?? 'link'} (index ${index}) from ${door.where} to ${target.where}${as}`;
  if (before === undefined) throw kernelError(task, ENODEV);
  if (name !== undefined && findLink(target, { name }) !== undefined) throw kernelError(task, EEXIST);
  try {
    sendTo(door, index, target, name, task);
  } catch (error) {
    bringBack(door, before, target);
    throw error;
  }
  const after = findLink(target, { name: name ?? before.name });
  if (after === undefined) throw kernelError(task, ENODEV, 'moved, and gone at once');
  return after.index;
}

function sendTo({ exchange }: Door, index: number, target: Door, name: string | undefined, task: Task): void {
  const rename = name === undefined ? [] : [string(IFLA_IFNAME, name)];
  const body = [linkHeader(index), u32(IFLA_NET_NS_FD, target.fd), ...rename];
  exchange.change({ type: RTM_NEWLINK, body, task });
}

/** The kernel moves first and renames then: a refused name leaves the link over there under its old one. */
function bringBack(door: Door, before: Link, target: Door): void {
  if (findLink(door, { index: before.index }) !== undefined) return;
  const stray = findLink(target, { name: before.name });
  if (stray === undefined || stray.mac !== before.mac) return;
  sendTo(
    target,
    stray.index,
    door,
    undefined,
    `move ${before.name} back from ${target.where} to ${door.where}`,
  );
}

/** Missing links are no error. */
export function deleteLinks(door: Door, indexes: readonly number[]): void {
  const [first, second] = indexes;
  if (first === undefined) return;
  if (second === undefined) {
    deleteLink(door, first);
    return;
  }
  const links = indexes.map((index) => findLink(door, { index })).filter((link) => link !== undefined);
  const group = freshGroup();
  const grouped = links.filter((link) => ignoringMissing(() => setGroup(door, link, group)));
  if (grouped.length === 0) return;
  try {
    door.exchange.change({
      type: RTM_DELLINK,
      body: [linkHeader(), u32(IFLA_GROUP, group)],
      task: `delete ${grouped.map((link) => link.name).join(', ')} in ${door.where}`,
    });
  } catch (error) {
    // All or nothing: one link that cannot be deleted (a piece of hardware) keeps the rest, so take them singly.
    if (!isErrno(error, 'EOPNOTSUPP', 'ENODEV')) throw error;
    deleteSingly(door, grouped);
  }
}

function deleteSingly(door: Door, links: readonly Link[]): void {
  const failures: unknown[] = [];
  for (const link of links) {
    try {
      deleteLink(door, link.index);
    } catch (error) {
      failures.push(error);
      ignoringMissing(() => setGroup(door, link, link.group));
    }
  }
  if (failures.length > 0) throw failures[0];
}

function deleteLink(door: Door, index: number): void {
  const task = () => `delete ${nameLink(door, index)} in ${door.where}`;
  ignoringMissing(() => door.exchange.change({ type: RTM_DELLINK, body: [linkHeader(index)], task }));
}

function setGroup(door: Door, link: Link, group: number): void {
  setLink(door, link.index, { group });
}

/** @returns false when the link was not there */
function ignoringMissing(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return false;
    throw error;
  }
}

/** People number groups from 0 up; a random number of 30 bits meets none of theirs nor another process's. */
function freshGroup(): number {
  return 0x40000000 + Math.floor(Math.random() * 0x3fffffff);
}

/** "up, mtu 9000": the plain part of a change, for errors. */
function describe(change: LinkChange): string {
  return Object.entries(change)
    .map(([key, value]) => (value === true ? key : value === false ? `no ${key}` : `${key} ${String(value)}`))
    .join(', ');
}
