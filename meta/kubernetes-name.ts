// The names of Kubernetes objects that a request or a manifest may carry. They become parts of paths: nothing else passes.

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** What a wrong name is told. */
export const NAME_RULE =
  'must be lower case letters, digits, "-" and ".", beginning and ending with a letter or a digit';

/** True for a name that Kubernetes gives to an object: a DNS-1123 subdomain of at most 253 characters. */
export function isObjectName(text: string): boolean {
  return text.length <= 253 && SUBDOMAIN.test(text);
}

/** True for a name that Kubernetes gives to a namespace: a DNS-1123 label of at most 63 characters. */
export function isNamespaceName(text: string): boolean {
  return LABEL.test(text);
}
