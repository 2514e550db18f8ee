import { hostname } from 'node:os';
import { env } from 'node:process';

/** What this node's Node object is called. @param configured `manifold.nodeName` */
export function nodeNameOf(configured: string | undefined): string {
  // NODENAME is Whereabouts' variable; a kubelet registers under the host name in lower case by itself.
  return configured || env.NODENAME || hostname().toLowerCase();
}
