// The ports between two cases: what a case has left otherwise is put back, cheaply where that does, or all is made anew.
import { isManifoldError } from '../../../pkg/errors/manifold-error.ts';
import type { Kernel, Link } from '../../../pkg/kernel/kernel.ts';
import { type Port, VFS_PER_PORT } from './port.ts';
import { describePorts, difference, type Ports, renewPorts } from './ports.ts';

export class HomePorts {
  readonly #kernel: Kernel;
  readonly #ports: Ports;
  #description: string;
  #links: readonly (Link | undefined)[];

  constructor(kernel: Kernel, ports: Ports) {
    this.#kernel = kernel;
    this.#ports = ports;
    this.#description = describePorts(kernel, ports);
    this.#links = ports.flatMap(vfLinks);
  }

  /** @returns what was otherwise, for the log */
  async restore(): Promise<string[]> {
    const left = this.#difference();
    if (left.length === 0) return [];
    const refusals = this.#putBack();
    if (this.#difference().length === 0) return ['put back after the case:', ...left];
    await renewPorts(this.#kernel, this.#ports);
    this.#description = describePorts(this.#kernel, this.#ports);
    this.#links = this.#ports.flatMap(vfLinks);
    return ['made anew after the case:', ...left, ...refusals];
  }

  #difference(): string[] {
    return difference(this.#description, describePorts(this.#kernel, this.#ports));
  }

  /** A function whose driver was bound again has drawn another MAC, for one. */
  #putBack(): string[] {
    return this.#ports.flatMap(vfLinks).flatMap((now, index) => {
      const before = this.#links[index];
      if (now === undefined || before === undefined) return [];
      const { name, mac, mtu } = before;
      try {
        if (now.mac !== mac && mac !== undefined) this.#kernel.host().setLink(now.index, { mac });
        if (now.name !== name || now.mtu !== mtu) this.#kernel.host().setLink(now.index, { name, mtu });
        return [];
      } catch (error) {
        if (isManifoldError(error)) return [error.message];
        throw error;
      }
    });
  }
}

function vfLinks(port: Port): (Link | undefined)[] {
  return Array.from({ length: VFS_PER_PORT }, (_, index) => port.vfLink(index));
}
