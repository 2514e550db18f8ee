import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManifoldError } from '../pkg/errors/manifold-error.ts';
import { parseRequest } from './request.ts';

const parse = (value: unknown) => parseRequest(value, 'the test');

describe('the short form', () => {
  test.each([
    ['', []],
    ['   ', []],
    ['rail0', [{ name: 'rail0' }]],
    ['tenant/storage@net5', [{ namespace: 'tenant', name: 'storage', ifname: 'net5' }]],
    [
      'rail0, tenant/storage@net5 ,rail0',
      [{ name: 'rail0' }, { namespace: 'tenant', name: 'storage', ifname: 'net5' }, { name: 'rail0' }],
    ],
    ['rail.v2', [{ name: 'rail.v2' }]],
  ])('%j is read', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  test.each([
    ['rail0,', 'it is empty'],
    ['a/b/c', 'more than one "/"'],
    ['a@b@c', 'more than one "@"'],
    ['Rail0', 'its name must be lower case'],
    ['../../etc', 'more than one "/"'],
    ['../passwd', 'its namespace must be lower case'],
    ['..', 'its name must be lower case'],
    ['/rail0', 'its namespace must be lower case'],
    ['rail0@', 'it must not be empty'],
    ['rail0@a/b', 'must not contain "/"'],
    ['rail0@abcdefghijklmnop', 'at most 15 bytes'],
    ['rail0@eth 0', 'white space'],
    ['rail0@eth%d', '%'],
  ])('%j is refused', (text, reason) => {
    expect(() => parse(text)).toThrow(reason);
    expect(() => parse(text)).toThrow('(in the test)');
  });

  const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/);
  const link = fc.stringMatching(/^[a-z][a-z0-9.]{0,13}$/);
  const item = fc.record({ name: label, namespace: label, ifname: link }, { requiredKeys: ['name'] });

  test('reading what was written gives the same requests', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 5 }), (items) => {
        const text = items
          .map(
            (i) =>
              `${i.namespace === undefined ? '' : `${i.namespace}/`}${i.name}${i.ifname === undefined ? '' : `@${i.ifname}`}`,
          )
          .join(', ');
        expect(parse(text)).toEqual(items);
      }),
    );
  });

  test('both forms of one request give the same', () => {
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 5 }), (items) => {
        const json = items.map(({ ifname, ...rest }) => ({
          ...rest,
          ...(ifname !== undefined && { interface: ifname }),
        }));
        expect(parse(JSON.stringify(json))).toEqual(items);
        expect(parse(json)).toEqual(items);
      }),
    );
  });

  test('no text whatever makes it fail in another way than by an error that names the place', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.jsonValue()), (value) => {
        try {
          for (const request of parse(value)) expect(request.name).toMatch(/^[a-z0-9][-.a-z0-9]*$/);
        } catch (error) {
          if (!(error instanceof ManifoldError)) throw error;
          expect(error.message).toContain('(in the test)');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the JSON form', () => {
  test('every key is read', () => {
    const text = JSON.stringify([
      {
        name: 'rail0',
        namespace: 'tenant',
        interface: 'gpu0',
        mac: '02:00:5E:00:53:01',
        ips: ['10.1.2.3/24', '2001:DB8:0:0::1'],
        'default-route': ['10.1.2.1'],
        portMappings: [
          { hostPort: 80, containerPort: 8080 },
          { hostPort: 53, containerPort: 53, protocol: 'UDP' },
        ],
        bandwidth: { ingressRate: 1000, ingressBurst: 2000, egressRate: 5 },
        'infiniband-guid': '02:00:00:00:00:00:53:01',
        'cni-args': { color: 'blue' },
        deviceID: '0000:3b:00.2',
        'example.com/own': true,
      },
      { name: 'rail1', interfaceRequest: 'gpu1', 'ipam-claim-reference': 'vm-a', 'default-route': [] },
    ]);
    expect(parse(text)).toEqual([
      {
        name: 'rail0',
        namespace: 'tenant',
        ifname: 'gpu0',
        mac: '02:00:5e:00:53:01',
        ips: ['10.1.2.3/24', '2001:db8::1'],
        defaultRoute: ['10.1.2.1'],
        portMappings: [
          { hostPort: 80, containerPort: 8080, protocol: 'TCP' },
          { hostPort: 53, containerPort: 53, protocol: 'UDP' },
        ],
        bandwidth: { ingressRate: 1000, ingressBurst: 2000, egressRate: 5 },
        infinibandGuid: '02:00:00:00:00:00:53:01',
        cniArgs: { color: 'blue' },
        deviceId: '0000:3b:00.2',
      },
      { name: 'rail1', ifname: 'gpu1', ipamClaim: 'vm-a', defaultRoute: [] },
    ]);
  });

  test.each([
    ['{"name":"rail0"}', 'JSON must be a list'],
    ['[{"name":"rail0"}', 'it is not JSON'],
    ['["rail0"]', "'networks[0]' as it must be an object"],
    ['[{}]', "'networks[0].name'"],
    ['[{"name":"../x"}]', "'networks[0].name'"],
    ['[{"name":"a","namespace":"../x"}]', "'networks[0].namespace'"],
    ['[{"name":"a","interface":"a/b"}]', "'networks[0].interface'"],
    ['[{"name":"a"},{"name":"a","mac":"01:00:5e:00:00:01"}]', "'networks[1].mac'"],
    ['[{"name":"a","mac":"02:00:5e:00:53:01:02:03"}]', "'networks[0].mac'"],
    ['[{"name":"a","ips":"10.0.0.1"}]', "'networks[0].ips'"],
    ['[{"name":"a","ips":["10.0.0.300"]}]', "'networks[0].ips[0]'"],
    ['[{"name":"a","ips":["10.0.0.3/33"]}]', "'networks[0].ips[0]'"],
    ['[{"name":"a","default-route":["10.0.0.0/24"]}]', "'networks[0].default-route[0]'"],
    [
      '[{"name":"a","portMappings":[{"hostPort":0,"containerPort":1}]}]',
      "'networks[0].portMappings[0].hostPort'",
    ],
    ['[{"name":"a","portMappings":[{"hostPort":70000,"containerPort":1}]}]', 'from 1 to 65535'],
    [
      '[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"protocol":"ICMP"}]}]',
      'TCP, UDP or SCTP',
    ],
    ['[{"name":"a","bandwidth":{"ingressRate":0}}]', "'networks[0].bandwidth.ingressRate'"],
    ['[{"name":"a","bandwidth":{"egressBurst":5}}]', 'egressRate beside egressBurst'],
    ['[{"name":"a","infiniband-guid":"02:00"}]', "'networks[0].infiniband-guid'"],
    ['[{"name":"a","cni-args":["x"]}]', "'networks[0].cni-args'"],
    ['[{"name":"a","ips":["10.0.0.1"],"ipam-claim-reference":"c"}]', 'exclude each other'],
    ['[{"name":"a","interface":"x","interfaceRequest":"y"}]', 'different interfaces'],
  ])('%s is refused', (text, reason) => {
    expect(() => parse(text)).toThrow(reason);
  });

  test('all mistakes are told at once', () => {
    const thrown = catchError(() => parse('[{"name":"a","mac":"x"},{"name":"B"}]'));
    expect(thrown.message).toContain("'networks[0].mac'");
    expect(thrown.hint).toContain("'networks[1].name'");
  });

  test('a key that means nothing is told to the caller, one with a domain is not', () => {
    expect(parse('[{"name":"a","interfase":"x","example.com/y":1}]')).toEqual([
      { name: 'a', unknownKeys: ['interfase'] },
    ]);
  });
});

function catchError(work: () => unknown): ManifoldError {
  try {
    work();
  } catch (error) {
    if (error instanceof ManifoldError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
