import { expect, test } from 'vitest';
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';
import { ensureNodeView } from './node-view.ts';
import { HELP, parseAgentOptions } from './options.ts';

test('without flags everything has its default', () => {
  expect(parseAgentOptions([])).toEqual({
    run: {
      kubeconfig: undefined,
      nodeName: undefined,
      namespace: 'kube-system',
      stateDir: '/var/lib/cni/manifold',
      runDir: '/run/manifold',
      nodeSilenceMs: 300_000,
      whereabouts: 'closed',
      logLevel: 'info',
    },
  });
});

test('a flag is taken', () => {
  expect(parseAgentOptions(['--node-name', 'a', '--node-silence=1h'])).toMatchObject({
    run: { nodeName: 'a', nodeSilenceMs: 3_600_000 },
  });
});

test('every flag is in the help', () => {
  for (const flag of [
    'kubeconfig',
    'node-name',
    'namespace',
    'state-dir',
    'run-dir',
    'node-silence',
    'log-level',
    'whereabouts',
  ])
    expect(HELP).toContain(`--${flag} `);
  expect(parseAgentOptions(['--help'])).toEqual({ print: 'help' });
  expect(parseAgentOptions(['--version'])).toEqual({ print: 'version' });
});

test.each([
  [['--node-silence', '5'], '--node-silence'],
  [['--node-silence', '59s'], 'at least "1m"'],
  [['--whereabouts', 'ajar'], '--whereabouts must be'],
  [['--log-level', 'loud'], '--log-level must be one of'],
  [['--node-name', 'Bad_Name!'], '--node-name must be a name that a Node can have'],
  [['--node-name', ''], '--node-name must'],
  [['--kubeconfig', ''], '--kubeconfig must not be empty'],
  [['--kubeconfig'], '--kubeconfig'],
  [['--what'], '--what'],
  [['what'], 'what'],
])('%o is refused by name', (argv, part) => {
  const error = (() => {
    try {
      return parseAgentOptions(argv);
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(isManifoldError(error, 'bad-config') && error.message).toContain(part);
});

test.each([
  [1, 'node'],
  [7, 'pause'],
  [7, 'tini'],
])('process %i beside %s sees only its container', (pid, first) => {
  expect(() => ensureNodeView(pid, first)).toThrow('of a container, not of the node');
});

test('a process of the node sees the node', () => {
  expect(() => ensureNodeView(4711, 'systemd')).not.toThrow();
});
