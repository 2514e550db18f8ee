// Many things are done one after another: what fails with one of them must not keep the others from being done.
import { isManifoldError } from '../../pkg/errors/manifold-error.ts';

export class GoOn {
  readonly #done: () => void;
  #failure: unknown;

  /** @param done called after each of them that did not fail */
  constructor(done: () => void = () => undefined) {
    this.#done = done;
  }

  /** @throws what fails for all alike, at once: the API server or the store cannot be used now */
  async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#done();
    } catch (error) {
      if (!isManifoldError(error) || isManifoldError(error, 'try-later', 'state')) throw error;
      this.#failure ??= error;
    }
  }

  /** @throws the first failure of all */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
