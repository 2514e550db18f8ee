// The CNI_* variables: which must be there, and what they may hold.
import { describe, errorOf } from '../exec.ts';
import { expectThat, type Row } from '../row.ts';
import type { Verb } from '../world.ts';
import { expectOneOne } from './expect.ts';

const REQUIRED: readonly (readonly [Verb, readonly string[]])[] = [
  ['ADD', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']],
  ['DEL', ['CNI_CONTAINERID', 'CNI_IFNAME']],
  ['CHECK', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']],
  ['GC', ['CNI_PATH']],
];

const BAD_CONTAINER_IDS = ['../../etc', '-leading', '.hidden', 'two words', 'a/b'];
const BAD_IFNAMES = ['.', '..', 'a/b', 'a:b', 'a b', 'sixteen-bytes-ab'];

export const ENVIRONMENT_ROWS: readonly Row[] = [
  ...REQUIRED.flatMap(([verb, names]) => names.map((name) => missing(verb, name))),
  {
    id: 'env.empty-container-id',
    level: 'MUST',
    section: '2 Parameters',
    sentence: 'an empty CNI_CONTAINERID is error 4',
    async try(world) {
      const outcome = await world.call('ADD', {
        pod: await world.pod(),
        conf: world.conf(),
        env: { CNI_CONTAINERID: '' },
      });
      expectThat(outcome.exitCode !== 0 && errorOf(outcome)?.code === 4, describe(outcome));
    },
  },
  {
    id: 'env.unknown-command',
    level: 'MUST',
    section: '2 Parameters',
    sentence: 'an unknown CNI_COMMAND is error 4 and named',
    async try(world) {
      const outcome = await world.call('ADD', {
        pod: await world.pod(),
        conf: world.conf(),
        env: { CNI_COMMAND: 'FROB' },
      });
      const error = errorOf(outcome);
      const good = outcome.exitCode !== 0 && error?.code === 4 && error.text.includes('CNI_COMMAND');
      expectThat(good, describe(outcome));
    },
  },
  {
    id: 'env.bad-container-id',
    level: 'MUST',
    section: '2 Parameters',
    sentence: 'a CNI_CONTAINERID of other characters than the specification allows is error 4',
    async try(world) {
      for (const id of BAD_CONTAINER_IDS) {
        const pod = await world.pod();
        const outcome = await world.call('ADD', { pod, conf: world.conf(), env: { CNI_CONTAINERID: id } });
        const good = outcome.exitCode !== 0 && errorOf(outcome)?.code === 4;
        expectThat(good, `CNI_CONTAINERID="${id}": ${describe(outcome)}`);
      }
    },
  },
  {
    id: 'env.bad-container-id-named',
    level: 'MUST',
    section: '5 Error',
    sentence: 'the error about a bad CNI_CONTAINERID names that variable',
    async try(world) {
      const env = { CNI_CONTAINERID: BAD_CONTAINER_IDS[0] };
      const outcome = await world.call('ADD', { pod: await world.pod(), conf: world.conf(), env });
      const named = errorOf(outcome)?.text.includes('CNI_CONTAINERID') === true;
      expectThat(outcome.exitCode !== 0 && named, describe(outcome));
    },
  },
  {
    id: 'env.bad-ifname',
    level: 'MUST',
    section: '2 Parameters',
    sentence: 'a CNI_IFNAME that no interface can have is an error',
    async try(world) {
      for (const ifname of BAD_IFNAMES) {
        const pod = await world.pod();
        const outcome = await world.call('ADD', { pod, conf: world.conf(), env: { CNI_IFNAME: ifname } });
        expectThat(outcome.exitCode !== 0, `CNI_IFNAME="${ifname}": ${describe(outcome)}`);
      }
    },
  },
  {
    id: 'env.unrelated',
    level: 'SHOULD',
    section: '2 Parameters',
    sentence: 'variables that the specification does not know change nothing',
    async try(world) {
      const env = {
        CNI_FROB: '1',
        CNI_COMMANDS: 'DEL',
        CONTAINERID: 'x',
        IFNAME: 'y',
        NETNS: '/nowhere',
        LANG: 'tr_TR',
      };
      const attachment = await world.add(await world.pod(), world.conf(), env);
      const outcome = await world.after('DEL', attachment, env);
      expectThat(outcome.exitCode === 0, `DEL: ${describe(outcome)}`);
    },
  },
  {
    id: 'env.args',
    level: 'SHOULD',
    section: '2 Parameters',
    sentence:
      'CNI_ARGS with keys that the plugin does not know are accepted where IgnoreUnknown=1 is among them',
    async try(world) {
      const env = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-0;FROB=a' };
      const attachment = await world.add(await world.pod(), world.conf(), env);
      const outcome = await world.after('DEL', attachment, env);
      expectThat(outcome.exitCode === 0, `DEL: ${describe(outcome)}`);
    },
  },
  {
    id: 'env.longest-names',
    level: 'SHOULD',
    section: '2 Parameters',
    sentence: 'a container ID of 64 characters and an interface name of 15 are accepted',
    async try(world) {
      const pod = await world.pod({
        containerId: 'c0ffee'.repeat(11).slice(0, 64),
        ifname: 'a-15-byte-name0',
      });
      const attachment = await world.add(pod);
      await world.del(attachment);
    },
  },
];

function missing(verb: Verb, name: string): Row {
  return {
    id: `env.${verb}-without-${name}`,
    level: 'MUST',
    section: `2 ${verb}; 5 Error`,
    sentence: `${verb} without ${name} is error 4, and the message names the variable`,
    async try(world) {
      if (verb === 'GC') expectOneOne(world);
      const prevResult = verb === 'CHECK' ? { prevResult: { interfaces: [], ips: [] } } : {};
      const valid = verb === 'GC' ? { 'cni.dev/valid-attachments': [] } : {};
      const attached = verb === 'GC' ? {} : { pod: await world.pod() };
      const conf = world.conf({ ...prevResult, ...valid });
      const outcome = await world.call(verb, { ...attached, conf, env: { [name]: undefined } });
      const error = errorOf(outcome);
      const good = outcome.exitCode !== 0 && error?.code === 4 && error.text.includes(name);
      expectThat(good, describe(outcome));
    },
  };
}
