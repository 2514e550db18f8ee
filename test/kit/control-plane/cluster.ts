// A running API server as tests use it: requests, users, kubeconfigs, kubectl. Does not start or stop it.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../build-cache.ts';
import { type Authority, authorityOf } from '../certificate.ts';
import { type ApiAnswer, type ApiRequest, apiRequest, type Credential } from './api-request.ts';
import { type KubeconfigServer, kubeconfig } from './kubeconfig.ts';

export const AUTHORITY_NAME = 'manifold-test-ca';

/** Plain values, so that another process can have the cluster too. */
export interface ClusterPlace {
  /** Of the control plane; the files of its users are written below it. */
  readonly directory: string;
  readonly url: string;
  readonly etcdUrl: string;
  readonly adminToken: string;
  /** Path of the program. */
  readonly kubectlPath: string;
}

export class Cluster {
  readonly place: ClusterPlace;
  readonly url: string;
  readonly adminToken: string;
  /** Signs the certificates of the API server and of users. */
  readonly authority: Authority;
  readonly caFile: string;

  constructor(place: ClusterPlace) {
    this.place = place;
    this.url = place.url;
    this.adminToken = place.adminToken;
    this.caFile = join(place.directory, 'ca.crt');
    this.authority = authorityOf(AUTHORITY_NAME, {
      certificate: readFileSync(this.caFile, 'utf8'),
      key: readFileSync(join(place.directory, 'ca.key'), 'utf8'),
    });
  }

  /** As admin by default. Any answer is a result. @throws Error where no answer came */
  async request(asked: ApiRequest): Promise<ApiAnswer> {
    const credential = { token: this.adminToken };
    return apiRequest(this.url, this.authority.certificate, { credential, ...asked });
  }

  /** The body of a good answer to admin. @throws Error with the answer of any other status than 2xx */
  async api(method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer['body']> {
    const answer = await this.request({ method, path, body, ...(contentType && { contentType }) });
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new Error(`Cannot ${method} ${path}: ${answer.status} ${answer.body?.message ?? answer.text}`);
  }

  /** A user with a client certificate. */
  addUser(
    name: string,
    groups: readonly string[] = [],
  ): { readonly certificate: string; readonly key: string } {
    return this.authority.issue({ commonName: name, organizations: groups });
  }

  /** Path of a new kubeconfig, mode 0600. */
  kubeconfig(
    credential: Credential = { token: this.adminToken },
    server: Partial<KubeconfigServer> = {},
  ): string {
    const path = this.#newPath('kubeconfig');
    const text = kubeconfig({ url: this.url, ca: this.authority.certificate, ...server }, credential);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** Path of a new file with a token, mode 0600. */
  tokenFile(token: string): string {
    const path = this.#newPath('token');
    writeFileSync(path, token, { mode: 0o600 });
    return path;
  }

  /** What kubectl printed; as admin. @throws Error with what it said on stderr */
  async kubectl(...argv: readonly string[]): Promise<string> {
    const { directory, kubectlPath } = this.place;
    const environment = {
      KUBECONFIG: this.kubeconfig(),
      KUBECACHEDIR: join(directory, 'kubectl'),
      KUBERC: 'off',
    };
    return run(kubectlPath, argv, directory, environment);
  }

  #newPath(kind: string): string {
    return join(this.place.directory, `${kind}-${randomBytes(6).toString('hex')}`);
  }
}
