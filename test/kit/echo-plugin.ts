// A plugin that touches nothing: it answers with what its configuration says, or fails as that says.
import { array, type InferOutput, number, object, optional, string, unknown } from 'valibot';
import { integerFrom, oneOf, text } from '../../pkg/cni/fields.ts';
import { manifoldOptions } from '../../pkg/cni/manifold-options.ts';
import type { Call, JsonObject, Plugin } from '../../pkg/cni/plugin.ts';
import { readResult } from '../../pkg/cni/read-result.ts';
import { ManifoldError } from '../../pkg/errors/manifold-error.ts';

const schema = object({
  mtu: optional(integerFrom(0, 65535)),
  mode: optional(oneOf(['bridge', 'private'])),
  ipam: optional(
    object({
      type: optional(text()),
      ranges: optional(array(object({ subnet: text(), gateway: optional(text()) }))),
    }),
  ),
  /** What ADD answers, in the newest form. */
  answer: optional(unknown()),
  /** Calls the plugin `type` with the configuration that stands here, for every verb. */
  delegate: optional(object({ type: text() })),
  fail: optional(
    object({
      as: oneOf(['bad-config', 'kernel', 'try-later', 'unavailable', 'unexpected']),
      text: optional(text(), 'it was asked to'),
      hint: optional(string()),
      number: optional(number()),
    }),
  ),
  manifold: manifoldOptions,
});

type EchoCall = Call<InferOutput<typeof schema>>;

export const echoPlugin: Plugin<InferOutput<typeof schema>> = {
  name: 'echo',
  summary: 'answers what it is asked',
  config: schema,
  async add(call) {
    const delegate = delegateOf(call);
    refuse(call);
    if (delegate !== undefined) return call.delegates.add(delegate.type, delegate.config);
    const { prevResult, ifname, netns, args, config } = call;
    if (config.answer !== undefined) return readResult(config.answer, '1.1.0', 'answer');
    if (prevResult !== undefined) return prevResult;
    return {
      interfaces: [{ name: ifname, sandbox: netns, mtu: config.mtu ?? 1500 }],
      dns: { search: Object.entries(args).map(([key, value]) => `${key}=${value}`) },
    };
  },
  async del(call) {
    const delegate = delegateOf(call);
    if (delegate !== undefined) await call.delegates.del(delegate.type, delegate.config);
    refuse(call);
  },
  async check(call) {
    const delegate = delegateOf(call);
    if (delegate !== undefined) await call.delegates.check(delegate.type, delegate.config);
    refuse(call);
  },
  async status(call) {
    const delegate = delegateOf(call);
    if (delegate !== undefined) await call.delegates.status(delegate.type, delegate.config);
    refuse(call);
  },
  async gc(call) {
    const delegate = delegateOf(call);
    if (delegate !== undefined) await call.delegates.gc(delegate.type, delegate.config);
    refuse(call);
    const kept = call.valid.map((one) => `${one.containerId}/${one.ifname}`).join(' ');
    if (call.config.answer === 'say what is kept') throw new ManifoldError('kernel', `kept: ${kept}`);
  },
};

function refuse({ config: { fail } }: EchoCall): void {
  if (fail === undefined) return;
  if (fail.as === 'unexpected') throw new TypeError(fail.text);
  throw new ManifoldError(fail.as, `Cannot echo: ${fail.text}`, {
    ...(fail.hint === undefined ? {} : { hint: fail.hint }),
    ...(fail.number === undefined ? {} : { cniCode: fail.number }),
  });
}

function delegateOf({ config, raw }: EchoCall): { type: string; config: JsonObject } | undefined {
  if (config.delegate === undefined) return undefined;
  const inner = raw.delegate as JsonObject;
  return { type: config.delegate.type, config: { name: raw.name, cniVersion: raw.cniVersion, ...inner } };
}
