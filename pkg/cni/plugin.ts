// What a CNI plugin is to us: a value. The same value runs as a program (program.ts) or in this process (delegate.ts).
import type { GenericSchema } from 'valibot';
import type { Logger } from '../log/logger.ts';
import type { CniResult } from './result.ts';

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** An attachment as the specification names it: one interface of one container. */
export interface AttachmentId {
  readonly containerId: string;
  readonly ifname: string;
}

/** What every verb is given. `C` is the plugin's own parsed configuration. */
export interface Call<C> {
  /** `name` of the network configuration. */
  readonly network: string;
  /** The version that the caller speaks, one of SUPPORTED_VERSIONS. */
  readonly cniVersion: string;
  readonly config: C;
  /** The network configuration as it came, unknown keys included: what a delegate is given. */
  readonly raw: JsonObject;
  /** CNI_PATH, split; absolute directories. */
  readonly path: readonly string[];
  readonly log: Logger;
  readonly delegates: Delegates;
}

export interface AttachmentCall<C> extends Call<C>, AttachmentId {
  /** CNI_ARGS as pairs, e.g. K8S_POD_NAME. Values may contain "=". */
  readonly args: Readonly<Record<string, string>>;
  readonly prevResult?: CniResult;
}

export interface AddCall<C> extends AttachmentCall<C> {
  readonly netns: string;
}

export interface CheckCall<C> extends AttachmentCall<C> {
  readonly netns: string;
  readonly prevResult: CniResult;
}

export interface DelCall<C> extends AttachmentCall<C> {
  /** Undefined when the runtime gives none: the namespace is gone, all else must still be freed. */
  readonly netns: string | undefined;
}

export interface GcCall<C> extends Call<C> {
  /** `cni.dev/valid-attachments`: all that may stay. */
  readonly valid: readonly AttachmentId[];
}

export interface Plugin<C = unknown> {
  /** The `type` in a network configuration and the name of the executable. */
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  /** Parses the network configuration into C. Unknown keys pass; the frame names those that look misspelt. */
  readonly config: GenericSchema<unknown, C>;
  /**
   * For DEL alone, where `config` refuses: it is given cniVersion, name, type and `manifold`, and no other key.
   * @default config
   */
  readonly delConfig?: GenericSchema<unknown, C>;
  /**
   * Makes a configuration whole that stands on other files, before it is parsed.
   * @throws ManifoldError, but not for DEL
   */
  readonly complete?: (
    raw: JsonObject,
    options: { readonly env: Readonly<Record<string, string | undefined>>; readonly forDel: boolean },
  ) => Completed;
  /** The name is another project's too: as a delegate it runs in this process only where the file of that name is ours. */
  readonly dropIn?: true;
  add(call: AddCall<C>): Promise<CniResult>;
  del(call: DelCall<C>): Promise<void>;
  check(call: CheckCall<C>): Promise<void>;
  status(call: Call<C>): Promise<void>;
  gc(call: GcCall<C>): Promise<void>;
}

/** A network configuration as a plugin takes it, and what the log is to say of that. */
export interface Completed {
  readonly config: JsonObject;
  readonly remarks: readonly { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[];
}

/** What a call to another plugin may set differently from our own call. */
export interface DelegateOptions {
  readonly ifname?: string;
  readonly containerId?: string;
  readonly netns?: string | undefined;
  /** CNI_ARGS; our own when absent. */
  readonly args?: Readonly<Record<string, string>>;
  /** CNI_PATH, absolute directories; our own when absent. */
  readonly path?: readonly string[];
}

/**
 * Calls another plugin (an IPAM plugin, a delegate of the meta plugin): in this process when the type is one of
 * ours, else by exec from CNI_PATH. Both ways give the same results and the same errors.
 * `config` is the whole network configuration that the plugin gets on stdin, cniVersion and name included.
 * @throws ManifoldError with the plugin's own CNI code in `cniCode`; `not-found` when CNI_PATH has no such file
 */
export interface Delegates {
  add(type: string, config: JsonObject, options?: DelegateOptions): Promise<CniResult>;
  del(type: string, config: JsonObject, options?: DelegateOptions): Promise<void>;
  check(type: string, config: JsonObject, options?: DelegateOptions): Promise<void>;
  status(type: string, config: JsonObject, options?: DelegateOptions): Promise<void>;
  gc(type: string, config: JsonObject, options?: DelegateOptions): Promise<void>;
}
