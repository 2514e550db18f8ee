// What the servers of a control plane have used so far, as the kernel counts it.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '../kit/control-plane/control-plane.ts';

/** USER_HZ: what /proc counts in, everywhere. */
const TICK_MS = 10;

/** User and system time of a process so far. */
export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name may have spaces and brackets; utime and stime are fields 14 and 15, the first after the name being 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Megabytes that are resident. */
export function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const pidsOf = ({ pids }: ControlPlane) => [pids.apiServer ?? 0, pids.etcd ?? 0] as const;

/** API server and etcd. */
export const planeCpuMs = (plane: ControlPlane): number =>
  pidsOf(plane).reduce((sum, pid) => sum + cpuMs(pid), 0);

export function planeMemory(plane: ControlPlane): { readonly apiServer: number; readonly etcd: number } {
  const [apiServer, etcd] = pidsOf(plane);
  return { apiServer: residentMb(apiServer), etcd: residentMb(etcd) };
}

/** CPU milliseconds of API server and etcd for each second, over so long. */
export async function planeLoad(plane: ControlPlane, seconds: number): Promise<number> {
  const before = planeCpuMs(plane);
  const began = performance.now();
  await sleep(seconds * 1000);
  return (planeCpuMs(plane) - before) / ((performance.now() - began) / 1000);
}

/** A number of an API server or of etcd, the sum over all label sets that contain the text. */
export function metricOf(text: string, name: string, label = ''): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export async function etcdMetrics({ place }: ControlPlane): Promise<string> {
  return (await fetch(new URL('/metrics', place.etcdUrl))).text();
}
