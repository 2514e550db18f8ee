// A plugin's own part of the configuration, and the `manifold` object that the frame itself obeys.
import { type GenericSchema, type InferOutput, object, safeParse } from 'valibot';
import { isManifoldError } from '../errors/manifold-error.ts';
import { configError, type Problem, problemsOf, sentence } from './config-error.ts';
import { manifoldOptions } from './manifold-options.ts';
import type { JsonObject, Plugin } from './plugin.ts';
import { withReadableSettings } from './readable-settings.ts';
import { listsForObjects } from './schema-shape.ts';

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
  const lists = [
    ...listsForObjects(plugin.config, raw),
    ...listsForObjects(manifoldOptions, raw.manifold, 'manifold'),
  ].map(({ key, value }) => ({ key, text: sentence(key, 'must be an object', value) }));
  if (config.success && options.success && lists.length === 0) {
    return { config: config.output, options: options.output };
  }
  const problems = new Map<string, Problem>();
  const own = config.success ? [] : problemsOf(config.issues);
  const common = options.success ? [] : problemsOf(options.issues, 'manifold');
  for (const problem of [...lists, ...own, ...common]) {
    if (!problems.has(problem.key)) problems.set(problem.key, problem);
  }
  throw configError([...problems.values()]);
}

const settingsAlone = (): GenericSchema => object({ manifold: manifoldOptions });

/**
 * For DEL, which must free what it can whatever the configuration says: settings that are refused are passed over, and
 * where other keys are, only what every plugin needs to find its state is parsed. The refusal is given to `refused`, not
 * thrown.
 * @throws ManifoldError 'bad-config' when it does not say where the state is
 */
export function parseConfigForDel<C>(
  plugin: Plugin<C>,
  raw: JsonObject,
  refused: (reason: string) => void,
): ParsedConfig<C> {
  try {
    return parseConfig(plugin, raw);
  } catch (error) {
    if (!isManifoldError(error, 'bad-config')) throw error;
    const parsed = parseReadable(plugin, withReadableSettings(raw, plugin.config, settingsAlone()));
    refused(error.message);
    return parsed;
  }
}

function parseReadable<C>(plugin: Plugin<C>, raw: JsonObject): ParsedConfig<C> {
  try {
    return parseConfig(plugin, raw);
  } catch (error) {
    if (!isManifoldError(error, 'bad-config')) throw error;
    const { cniVersion, name, type, manifold } = raw;
    const least = { ...plugin, config: plugin.delConfig ?? plugin.config };
    return parseConfig(least, { cniVersion, name, type, manifold });
  }
}
