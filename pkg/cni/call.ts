// What a call of a plugin needs and gives, whether it runs as a program or as a delegate in this process.
import type { Logger } from '../log/logger.ts';
import type { Environment } from './environment.ts';
import type { JsonObject, Plugin } from './plugin.ts';

/** A lock on a container that an exec'ed plugin inherits: it is held for as long as the plugin runs. */
export interface ExecGuard {
  /** Descriptor for the plugin to inherit. */
  readonly fd: number;
  /** To be told once it runs. @param group its process group */
  started(group: number): void;
  /** The call is over. */
  release(): void;
}

/**
 * Takes the lock of a container; undefined where there is none to take.
 * @throws ManifoldError 'try-later' when somebody else keeps it
 */
export type GuardExec = (runDir: string, containerId: string, log: Logger) => Promise<ExecGuard | undefined>;

/** What a call stands on. The same record serves the delegates that the call makes. */
export interface CallDeps {
  /** The whole environment: what is not CNI_* is handed on to plugins that are exec'ed. */
  readonly env: Environment;
  /** Our own types: as delegates they run in this process. */
  readonly plugins: ReadonlyMap<string, Plugin>;
  /** Takes log lines, and what exec'ed plugins wrote on their standard error. */
  readonly stderr: (text: string) => void;
  /** True when the path is the namespace that this process is in; false when it is another, or nothing. */
  readonly isOwnNetns?: (path: string) => boolean;
  /** True for another name of the file that this process runs. None is when absent. */
  readonly isOwnFile?: (path: string) => boolean;
  /** How long an exec'ed plugin may take. @default 120000 */
  readonly delegateTimeoutMs?: number;
  /** Keeps a plugin that is exec'ed for an attachment from outliving us and the next call. None when absent. */
  readonly guardExec?: GuardExec;
  /**
   * This process was itself exec'ed by one of ours: what it execs stays in its process group, and so dies with it, and
   * is guarded by the lock of the outermost. @default false
   */
  readonly nested?: boolean;
}

/** What a plugin prints on standard output, and its exit code. */
export interface Answer {
  readonly exitCode: 0 | 1;
  readonly output: JsonObject | undefined;
}

/** `readStdin(false)` takes only what is there already: VERSION needs no input, so that people can run it by hand. */
export type ReadStdin = (wait: boolean) => string;

/** answer.ts has the one implementation. It never throws. */
export type AnswerCall = (plugin: Plugin, readStdin: ReadStdin, deps: CallDeps) => Promise<Answer>;
