// Delegation of ADD to an IPAM plugin, and what happens when one of the two fails.
import { isDeepStrictEqual } from 'node:util';
import { describe, errorOf } from '../exec.ts';
import { canonicalCidr, describeLinks, readRoutes } from '../kernel-view.ts';
import { RECORDER_CODE, RECORDER_MSG, RECORDER_STDERR, simpleResult } from '../recorder.ts';
import { expectThat, fail, notApplicable, type Row } from '../row.ts';
import { isAtLeast } from '../spec-versions.ts';
import { delegateRow, PROCEDURE, type Scene } from './delegate-row.ts';
import { expectOneOne } from './expect.ts';

const ARGS = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=pod-0' };
const PROTOCOL = '4 Delegated Plugin protocol';

export const DELEGATE_ADD_ROWS: readonly Row[] = [
  delegateRow(
    'found-by-path',
    'MUST',
    PROCEDURE,
    'the IPAM plugin is found in CNI_PATH and executed for ADD',
    async (scene) => {
      await scene.world.add(await scene.world.pod(), scene.conf);
      const calls = await scene.recorder.calls('ADD');
      expectThat(calls.length === 1, `it was executed ${calls.length} times`);
    },
  ),
  delegateRow(
    'not-found',
    'MUST',
    PROCEDURE,
    'ADD with an IPAM plugin that is not in CNI_PATH is an error',
    async (scene) => {
      const conf = { ...scene.conf, ipam: { type: 'cnf-no-such-ipam' } };
      const outcome = await scene.world.call('ADD', { pod: await scene.world.pod(), conf });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  ),
  delegateRow(
    'environment',
    'MUST',
    PROTOCOL,
    'the IPAM plugin gets the same CNI_* variables for ADD and DEL',
    async (scene) => {
      const { world, recorder, conf } = scene;
      const attachment = await world.add(await world.pod(), conf, ARGS);
      await world.after('DEL', attachment, ARGS);
      for (const verb of ['ADD', 'DEL'] as const) {
        const wanted: Record<string, string> = { ...world.environment(verb, attachment.pod), ...ARGS };
        const seen = (await recorder.calls(verb))[0]?.env ?? fail(`it was not executed for ${verb}`);
        const other = Object.keys(wanted).filter((key) => seen[key] !== wanted[key]);
        const shown = other.map((key) => `${key} is ${seen[key]}, not ${wanted[key]}`);
        expectThat(other.length === 0, `${verb}: ${shown.join('; ')}`);
      }
    },
  ),
  delegateRow(
    'input',
    'MUST',
    PROTOCOL,
    'the IPAM plugin gets the complete configuration, not a part of it',
    async (scene) => {
      const { world, recorder, conf } = scene;
      const whole = { ...conf, args: { cni: { x: 1 } }, 'com.example/key': [1] };
      await world.add(await world.pod(), whole);
      const seen = (await recorder.calls('ADD'))[0]?.stdin ?? fail('it was not executed');
      const same = isDeepStrictEqual(seen, JSON.parse(JSON.stringify(whole)));
      expectThat(same, `it got ${JSON.stringify(seen)}, not ${JSON.stringify(whole)}`);
    },
  ),
  delegateRow(
    'stderr',
    'SHOULD',
    PROCEDURE,
    'what the IPAM plugin writes on stderr is on the stderr of the plugin',
    async (scene) => {
      const outcome = await scene.world.call('ADD', { pod: await scene.world.pod(), conf: scene.conf });
      expectThat(outcome.stderr.includes(RECORDER_STDERR), `stderr: ${outcome.stderr.trim() || 'empty'}`);
    },
  ),
  delegateRow(
    'result-applied',
    'MUST',
    '4 Plugin Delegation',
    'the addresses and routes of the IPAM plugin stand in the container',
    async (scene) => {
      const { world, recorder, conf } = scene;
      const four = { address: '10.87.0.5/24', gateway: '10.87.0.1' };
      const six = { address: '2001:db8:87::5/64', gateway: '2001:db8:87::1' };
      const old = !isAtLeast(world.target.newest, '1.0.0');
      const ips = old
        ? [
            { ...four, version: '4' },
            { ...six, version: '6' },
          ]
        : [four, six];
      await recorder.answer(
        simpleResult(world.target.newest, { ips, routes: [{ dst: '203.0.113.0/24', gw: '10.87.0.1' }] }),
      );
      const { pod } = await world.add(await world.pod(), conf);
      const link = (await world.linksOf(pod)).find(({ name }) => name === pod.ifname) ?? fail('no interface');
      const missing = [four, six].filter(({ address }) => !link.addresses.includes(canonicalCidr(address)));
      expectThat(missing.length === 0, `missing ${JSON.stringify(missing)}: ${describeLinks([link])}`);
      const routes = await readRoutes(pod.netnsName);
      const there = routes.some(({ dst, gw }) => dst === '203.0.113.0/24' && gw === '10.87.0.1');
      expectThat(there, `the route is missing: ${JSON.stringify(routes)}`);
    },
  ),
  delegateRow(
    'route-attributes',
    'MUST',
    '5 ADD Success',
    'mtu, advmss, priority and table of a route of the IPAM plugin are set',
    async (scene) => {
      const { world, recorder, conf } = scene;
      expectOneOne(world);
      const route = {
        dst: '203.0.113.0/24',
        gw: '10.87.0.1',
        mtu: 1280,
        advmss: 1200,
        priority: 77,
        table: 1234,
      };
      await recorder.answer(simpleResult(world.target.newest, { routes: [route] }));
      const { pod } = await world.add(await world.pod(), conf);
      const seen =
        (await readRoutes(pod.netnsName)).find(({ dst }) => dst === route.dst) ??
        fail('the route is missing');
      const good = seen.mtu === 1280 && seen.advmss === 1200 && seen.metric === 77 && seen.table === 1234;
      expectThat(good, JSON.stringify(seen));
    },
  ),
  delegateRow(
    'add-error',
    'MUST',
    '4 Plugin Delegation',
    'ADD is an error when the IPAM plugin fails',
    async (scene) => {
      await scene.recorder.failOn('ADD');
      const outcome = await scene.world.call('ADD', { pod: await scene.world.pod(), conf: scene.conf });
      expectThat(outcome.exitCode !== 0, describe(outcome));
    },
  ),
  delegateRow(
    'add-error-named',
    'SHOULD',
    PROCEDURE,
    'the error of ADD holds what the IPAM plugin said, or its code',
    async (scene) => {
      await scene.recorder.failOn('ADD');
      const outcome = await scene.world.call('ADD', { pod: await scene.world.pod(), conf: scene.conf });
      const error = errorOf(outcome);
      const told = error?.code === RECORDER_CODE || error?.text.includes(RECORDER_MSG) === true;
      expectThat(told, describe(outcome));
    },
  ),
  delegateRow(
    'add-error-clean',
    'SHOULD',
    '2 ADD',
    'an ADD that fails in IPAM leaves nothing in the container',
    async (scene) => {
      await scene.recorder.failOn('ADD');
      const pod = await scene.world.pod();
      const outcome = await scene.world.call('ADD', { pod, conf: scene.conf });
      const links = await scene.world.linksOf(pod);
      expectThat(
        outcome.exitCode !== 0 && links.length === 0,
        `there is ${describeLinks(links) || describe(outcome)}`,
      );
    },
  ),
  delegateRow(
    'add-error-del',
    'SHOULD',
    PROCEDURE,
    'when the IPAM plugin fails at ADD, it is executed again with DEL',
    async (scene) => {
      await scene.recorder.failOn('ADD');
      await scene.world.call('ADD', { pod: await scene.world.pod(), conf: scene.conf });
      const verbs = (await scene.recorder.calls()).map(({ verb }) => verb);
      expectThat(verbs.includes('DEL'), `it was executed for ${verbs.join(' ') || 'nothing'}`);
    },
  ),
  delegateRow(
    'late-error-releases',
    'MUST',
    '3 Lifecycle & Ordering',
    'an ADD that fails after IPAM releases the address',
    async (scene) => {
      await failLate(scene);
      const verbs = (await scene.recorder.calls()).map(({ verb }) => verb);
      expectThat(verbs.at(-1) === 'DEL', `the IPAM plugin was executed for ${verbs.join(' ')}`);
    },
  ),
  delegateRow(
    'late-error-clean',
    'SHOULD',
    '2 ADD',
    'an ADD that fails after IPAM leaves nothing in the container',
    async (scene) => {
      const links = await failLate(scene);
      expectThat(links.length === 0, `there is ${describeLinks(links)}`);
    },
  ),
];

/** An address with a route that no kernel takes: its gateway is on no link. */
async function failLate({ world, recorder, conf }: Scene) {
  const routes = [{ dst: '203.0.113.0/24', gw: '192.0.2.1' }];
  await recorder.answer(simpleResult(world.target.newest, { routes }));
  const pod = await world.pod();
  const outcome = await world.call('ADD', { pod, conf });
  if (outcome.exitCode === 0) notApplicable('ADD takes a route whose gateway cannot be reached');
  if ((await recorder.calls('ADD')).length === 0) notApplicable('ADD failed before IPAM');
  return world.linksOf(pod);
}
