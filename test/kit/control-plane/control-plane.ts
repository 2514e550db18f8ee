// kube-apiserver and etcd of one test file, on free ports of 127.0.0.1, everything below one temporary directory.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  API_SERVER_FILES,
  apiServerFlags,
  auditFlags,
  isServing,
  writeApiServerFiles,
} from './api-server.ts';
import { controlPlaneBinaries } from './binaries.ts';
import { Cluster, type ClusterPlace } from './cluster.ts';
import { etcdFlags, isHealthy } from './etcd.ts';
import { freePort } from './free-port.ts';
import { createServiceAccount } from './objects.ts';
import { ServerProcess } from './server-process.ts';

export interface ControlPlaneOptions {
  /** Writes down every request that was answered: auditLog(). */
  readonly audit?: boolean;
  /** More flags of kube-apiserver. */
  readonly apiServerArgs?: readonly string[];
}

/** An event of audit.k8s.io/v1, the parts that tests read. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly responseStatus?: { readonly code: number };
}

/** Servers die with this process, and close() removes every trace. */
export class ControlPlane extends Cluster implements AsyncDisposable {
  readonly #etcd: ServerProcess;
  readonly #apiServer: ServerProcess;

  constructor(place: ClusterPlace, etcd: ServerProcess, apiServer: ServerProcess) {
    super(place);
    this.#etcd = etcd;
    this.#apiServer = apiServer;
  }

  /** Undefined for what is stopped. */
  get pids(): { readonly apiServer: number | undefined; readonly etcd: number | undefined } {
    return { apiServer: this.#apiServer.pid, etcd: this.#etcd.pid };
  }

  get logs(): { readonly apiServer: string; readonly etcd: string } {
    return { apiServer: this.#apiServer.log, etcd: this.#etcd.log };
  }

  /** On the same port, over the same objects. */
  startApiServer(): Promise<void> {
    return this.#apiServer.start();
  }

  /** SIGKILL by default: as a crash. */
  stopApiServer(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    return this.#apiServer.stop(signal);
  }

  startEtcd(): Promise<void> {
    return this.#etcd.start();
  }

  stopEtcd(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    return this.#etcd.stop(signal);
  }

  /** Needs the option `audit`. */
  auditLog(): readonly AuditEvent[] {
    const text = readFileSync(join(this.place.directory, API_SERVER_FILES.auditLog), 'utf8');
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as AuditEvent]));
  }

  async close(): Promise<void> {
    await this.#apiServer.stop();
    await this.#etcd.stop();
    rmSync(this.place.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * A new, empty one: about 4 seconds of two cores, 350 MB.
 * @throws Error with the server's last lines where it does not start; as controlPlaneBinaries does
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await controlPlaneBinaries();
  const directory = mkdtempSync(join(tmpdir(), 'manifold-kube-'));
  const place = {
    directory,
    url: `https://127.0.0.1:${await freePort()}`,
    etcdUrl: `http://127.0.0.1:${await freePort()}`,
    adminToken: randomBytes(16).toString('hex'),
    kubectlPath: binaries.kubectl,
  };
  writeApiServerFiles(place);
  const ca = readFileSync(join(directory, API_SERVER_FILES.ca), 'utf8');
  const etcd = new ServerProcess({
    file: binaries.etcd,
    argv: etcdFlags(place),
    log: join(directory, 'etcd.log'),
    isReady: () => isHealthy(place.etcdUrl),
  });
  const apiServer = new ServerProcess({
    file: binaries.apiServer,
    argv: [
      ...apiServerFlags(place),
      ...(options.audit ? auditFlags(place) : []),
      ...(options.apiServerArgs ?? []),
    ],
    log: join(directory, 'kube-apiserver.log'),
    isReady: () => isServing(place, ca),
  });
  const plane = new ControlPlane(place, etcd, apiServer);
  try {
    await etcd.start();
    await apiServer.start();
    await createServiceAccount(plane, 'default', 'default');
    return plane;
  } catch (error) {
    await plane.close();
    throw error;
  }
}
