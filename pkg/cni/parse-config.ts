// A plugin's own part of the configuration, and the `manifold` object that the frame itself obeys.
import { type InferOutput, safeParse } from 'valibot';
import { configError, problemsOf } from './config-error.ts';
import { manifoldOptions } from './manifold-options.ts';
import type { JsonObject, Plugin } from './plugin.ts';

export interface ParsedConfig<C> {
  readonly config: C;
  readonly options: InferOutput<typeof manifoldOptions>;
}

/**
 * Parses a network configuration with the plugin's schema.
 * @throws ManifoldError 'bad-config' that names every bad key by its path
 */
export function parseConfig<C>(plugin: Plugin<C>, raw: JsonObject): ParsedConfig<C> {
  const options = safeParse(manifoldOptions, raw.manifold);
  const config = safeParse(plugin.config, raw);
  if (config.success && options.success) return { config: config.output, options: options.output };
  const own = config.success ? [] : problemsOf(config.issues);
  const common = options.success ? [] : problemsOf(options.issues, 'manifold');
  const known = new Set(own.map((problem) => problem.key));
  throw configError([...own, ...common.filter((problem) => !known.has(problem.key))]);
}
