// One object of a kubeconfig, which knows where in the file it stands, and refuses what a key should not hold.
import { dirname, resolve } from 'node:path';
import { type ChangingFile, changingFile } from './changing-file.ts';
import { KubeError } from './kube-error.ts';

type Fields = Readonly<Record<string, unknown>>;

export class Section {
  readonly path: string;
  readonly place: string;
  readonly fields: Fields;

  constructor(path: string, place: string, value: unknown) {
    this.path = path;
    this.place = place;
    if (!isFields(value))
      throw new KubeError(
        'Credentials',
        `Cannot use the kubeconfig: ${place || 'it'} is no object (${path})`,
        {
          hint: WANTED,
        },
      );
    this.fields = value;
  }

  keyOf(key: string): string {
    return `${this.path}: ${this.place === '' ? key : `${this.place}.${key}`}`;
  }

  has(key: string): boolean {
    const value = this.fields[key];
    return value !== undefined && value !== null && value !== '';
  }

  section(key: string): Section {
    return new Section(this.path, `${this.place}.${key}`, this.fields[key] ?? {});
  }

  list(key: string): readonly unknown[] {
    const value = this.fields[key] ?? [];
    if (Array.isArray(value)) return value;
    throw this.refuse(key, 'it is no list', WANTED);
  }

  text(key: string): string | undefined {
    const value = this.fields[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    throw this.refuse(key, 'it is no string', 'Put it in quotes.');
  }

  need(key: string): string {
    const value = this.text(key);
    if (value) return value;
    throw this.refuse(key, 'it is missing', WANTED);
  }

  flag(key: string): boolean {
    const value = this.fields[key] ?? false;
    if (typeof value === 'boolean') return value;
    throw this.refuse(key, 'it is neither true nor false', 'Write true or false, without quotes.');
  }

  /** A file that the key names, relative to the kubeconfig. */
  file(key: string, what: string): ChangingFile | undefined {
    const named = this.text(key);
    if (!named) return undefined;
    return changingFile(resolve(dirname(this.path), named), what, this.keyOf(key));
  }

  refuse(key: string, reason: string, hint: string): KubeError {
    return new KubeError('Credentials', `Cannot use the kubeconfig: ${reason} (${this.keyOf(key)})`, {
      hint,
    });
  }
}

export const WANTED = 'A kubeconfig is wanted: apiVersion v1, clusters, users, contexts and current-context.';

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
