// Where an API server is and as whom it is asked: what the transport needs, whatever file it came from.

/** What TLS is done with. PEM texts. */
export interface TlsMaterial {
  /** Absent: the authorities that come with Node. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name that the server's certificate must be for, where it is not the host of the address. */
  readonly serverName?: string;
  readonly insecure: boolean;
}

/** A file or a key of one, for messages: "/etc/cni/kubeconfig: users[0].user.client-key-data". */
export type Origin = string;

/** Files behind it are read again when they have changed. Each function @throws KubeError Credentials. */
export interface KubeAccess {
  /** "https://10.0.0.1:6443", with a path where the address has one, without a slash at the end. */
  readonly server: string;
  /** What named the server, for messages: "/etc/cni/kubeconfig (context c)". */
  readonly source: Origin;
  /** Of the context, or of the pod. */
  readonly namespace: string | undefined;
  /** As whom, for messages: the name in the kubeconfig, or the service account. */
  readonly user: string;
  /** The same object for as long as no file has changed. */
  tls(): TlsMaterial;
  /** What is sent as bearer token: undefined where there is none. */
  token(): string | undefined;
  /**
   * Reads the token anew, changed or not.
   * @param refused the token that the API server did not take: `token()` may have seen a newer one since
   * @returns true when another one is sent from now on
   */
  renewToken(refused: string | undefined): boolean;
  /** Where each credential came from, for messages. */
  readonly origins: {
    readonly ca?: Origin;
    readonly cert?: Origin;
    readonly key?: Origin;
    readonly token?: Origin;
  };
}
