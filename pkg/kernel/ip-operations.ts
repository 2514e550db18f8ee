// What is done to addresses, routes, neighbours and rules. Adding what is there and removing what is not are no
// errors, so that ADD and DEL can be repeated.
import {
  listAddressesBody,
  newAddressBody,
  parseAddressMessage,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
  removeAddressBody,
} from './address-message.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type Request } from './exchange.ts';
import { AF_INET, AF_INET6 } from './inet.ts';
import type { Address, Cidr, Neighbour, NewAddress, NewRoute, Route, Rule } from './kernel.ts';
import { isErrno } from './kernel-error.ts';
import { type Door, nameLink } from './link-operations.ts';
import {
  listNeighboursBody,
  neighbourBody,
  parseNeighbour,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './neighbour-message.ts';
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

/** @param index 0 for every link */
export function listAddresses(door: Door, index: number): Address[] {
  const task = () => `list addresses ${index === 0 ? '' : `of ${nameLink(door, index)} `}in ${door.where}`;
  const request = { type: RTM_GETADDR, body: listAddressesBody(index), task };
  return door.exchange.dump(request, (payload) => parseAddressMessage(payload, index));
}

export function addAddress(door: Door, index: number, address: NewAddress): void {
  const task = () => `add address ${address.cidr} to ${linkOf(door, index)}`;
  const flags = NLM_F_CREATE | NLM_F_EXCL;
  change(door, { type: RTM_NEWADDR, flags, body: newAddressBody(index, address), task }, 'EEXIST');
}

export function removeAddress(door: Door, index: number, cidr: Cidr): void {
  const task = () => `remove address ${cidr} from ${linkOf(door, index)}`;
  change(door, { type: RTM_DELADDR, body: removeAddressBody(index, cidr), task }, 'EADDRNOTAVAIL', 'ENODEV');
}

export function listRoutes({ exchange, where }: Door): Route[] {
  return ([AF_INET, AF_INET6] as const).flatMap((family) => {
    const request = { type: RTM_GETROUTE, body: listRoutesBody(family), task: `list routes in ${where}` };
    return exchange.dump(request, (payload) => parseRoutes(payload, family)).flat();
  });
}

export function addRoute(door: Door, route: NewRoute): void {
  const task = () => `add route ${describeRoute(route)} on ${linkOf(door, route.index)}`;
  const flags = NLM_F_CREATE | NLM_F_APPEND;
  change(door, { type: RTM_NEWROUTE, flags, body: newRouteBody(route), task }, 'EEXIST');
}

export function removeRoute(door: Door, route: NewRoute): void {
  const task = () => `remove route ${describeRoute(route)} on ${linkOf(door, route.index)}`;
  change(door, { type: RTM_DELROUTE, body: removeRouteBody(route), task }, 'ESRCH', 'ENODEV');
}

/** @param index undefined for every link */
export function listNeighbours({ exchange, where }: Door, index: number | undefined): Neighbour[] {
  const request = { type: RTM_GETNEIGH, body: listNeighboursBody(), task: `list neighbours in ${where}` };
  return exchange.dump(request, (payload) => parseNeighbour(payload, index));
}

export function addNeighbour(door: Door, neighbour: Neighbour): void {
  const task = () => `add neighbour ${neighbour.address} on ${linkOf(door, neighbour.index)}`;
  const flags = NLM_F_CREATE | NLM_F_REPLACE;
  change(door, { type: RTM_NEWNEIGH, flags, body: neighbourBody(neighbour), task });
}

export function removeNeighbour(door: Door, neighbour: Neighbour): void {
  const task = () => `remove neighbour ${neighbour.address} on ${linkOf(door, neighbour.index)}`;
  change(door, { type: RTM_DELNEIGH, body: neighbourBody(neighbour), task }, 'ENOENT', 'ENODEV');
}

export function listRules({ exchange, where }: Door, family: 4 | 6): Rule[] {
  const request = {
    type: RTM_GETRULE,
    body: listRulesBody(family),
    task: `list IPv${family} rules in ${where}`,
  };
  return exchange.dump(request, (payload) => parseRule(payload, family));
}

export function addRule(door: Door, rule: Rule): void {
  const flags = NLM_F_CREATE | NLM_F_EXCL;
  const task = `add ${describeRule(rule)} in ${door.where}`;
  change(door, { type: RTM_NEWRULE, flags, body: ruleBody(rule), task }, 'EEXIST');
}

export function removeRule(door: Door, rule: Rule): void {
  const task = `remove ${describeRule(rule)} in ${door.where}`;
  change(door, { type: RTM_DELRULE, body: ruleBody(rule), task }, 'ENOENT');
}

/** A refusal by one of these names means that there was nothing to do. */
function change({ exchange }: Door, request: Request, ...nothingToDo: string[]): void {
  try {
    exchange.change(request);
  } catch (error) {
    if (!isErrno(error, ...nothingToDo)) throw error;
  }
}

function linkOf(door: Door, index: number): string {
  return `${nameLink(door, index)} in ${door.where}`;
}

function describeRoute({ dst, gateway, priority, table }: NewRoute): string {
  const via = gateway === undefined ? '' : ` via ${gateway}`;
  const metric = priority === undefined ? '' : ` metric ${priority}`;
  return `${dst}${via}${metric}${table === undefined ? '' : ` table ${table}`}`;
}

function describeRule({ family, priority, from, to, table }: Rule): string {
  const conditions = `${from === undefined ? '' : ` from ${from}`}${to === undefined ? '' : ` to ${to}`}`;
  return `IPv${family} rule${priority === undefined ? '' : ` ${priority}:`}${conditions} table ${table}`;
}
