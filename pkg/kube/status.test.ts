import { expect, test } from 'vitest';
import { statusError } from './status.ts';

const asked = {
  verb: 'update',
  resource: 'ipleases.ipam.manifold.dev',
  object: 'ipleases.ipam.manifold.dev 10.1.0.5',
  server: 'https://192.0.2.1:6443',
};
const answer = (status: number, message: string, details?: object) => ({
  status,
  body: JSON.stringify({ kind: 'Status', status: 'Failure', code: status, message, details }),
});
const named = { name: '10.1.0.5', group: 'ipam.manifold.dev', kind: 'ipleases' };
const OBJECT = 'ipleases.ipam.manifold.dev "10.1.0.5"';

test.each([
  [
    'RBAC',
    `${OBJECT} is forbidden: User "u" cannot update resource "ipleases"`,
    /needs the verb "update".*rbac/,
  ],
  [
    'a policy',
    `${OBJECT} is forbidden: ValidatingAdmissionPolicy 'manifold-leases' with binding 'b' denied request: a node claims for itself`,
    /^An admission policy says no/,
  ],
  ['a webhook', 'admission webhook "x.example" denied the request: no', /^An admission policy says no/],
  ['a quota', `${OBJECT} is forbidden: exceeded quota: q`, /a quota/],
])('what to do about a 403 of %s is told from the others', (_, message, hint) => {
  const error = statusError(asked, answer(403, message, named), '');
  expect(error).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining(message) });
  expect(error.hint).toMatch(hint);
  expect(
    [/rbac/, /admission policy says/, /a quota/].filter((one) => one.test(error.hint ?? '')),
  ).toHaveLength(1);
});

test.each([
  ['a field that it cannot select by', 400, 'field label not supported: spec.domain'],
  ['a rule that refuses', 422, `${OBJECT} is invalid: spec.subnet: Required value`],
])('%s may mean a definition of another version: it is to be applied again', (_, status, message) => {
  const error = statusError(asked, answer(status, message), '');
  expect(error.hint).toContain('kubectl apply -R -f deploy/');
  expect(statusError(asked, answer(400, 'the body is no JSON'), '').hint).toBeUndefined();
});

test.each([
  ['no Status', { status: 404, body: '404 page not found\n' }],
  ['a Status without an object', answer(404, 'the server could not find the requested resource', {})],
])('a resource that the server does not know is told from an object that is not there: %s', (_, body) => {
  const error = statusError({ ...asked, verb: 'get' }, body, '');
  expect(error).toMatchObject({ reason: 'NotFound', isResourceUnknown: true });
  expect(error.hint).toMatch(/kubectl get crd ipleases\.ipam\.manifold\.dev.*deploy/);
  const gone = statusError(asked, answer(404, `${OBJECT} not found`, named), '');
  expect(gone).toMatchObject({ reason: 'NotFound', isResourceUnknown: false, hint: undefined });
});
