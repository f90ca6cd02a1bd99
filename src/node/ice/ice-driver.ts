/** Drives an ICE agent. Media has inputs of its own: what they return is used at once. */
import type { Address } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";
import type { Instant } from "../../core/base/machine.ts";
import type { IceAgent } from "../../core/ice/agent.ts";
import type { BaseId } from "../../core/ice/base.ts";
import type { IceOutput } from "../../core/ice/outputs.ts";
import type { Route } from "../../core/ice/pair.ts";
import { Driver } from "../driver.ts";

export class IceDriver extends Driver<IceAgent, IceOutput> {
  /** One datagram. Whether it is the application's. */
  datagram(base: BaseId, from: Readonly<Address>, data: Uint8Array): boolean {
    if (this.stopped) return false;
    try {
      // Data of the application asks for nothing.
      if (this.machine.handleDatagram(base, from, data, this.now())) return true;
    } catch (cause) {
      this.fail(cause);
    }
    this.settle();
    return false;
  }

  /** Which way data goes now. */
  route(component: number, data: Uint8Array): Route | undefined {
    return this.stopped ? undefined : this.machine.send(0, component, data);
  }

  /** An input that may be misuse, which is the caller's to hear of. */
  ask(mutate: (agent: IceAgent, now: Instant) => void): void {
    if (this.stopped) throw new PosternError("closed", "This connection is closed: open a new one.");
    let misuse: unknown;
    this.input((agent, now) => {
      try {
        mutate(agent, now);
      } catch (error) {
        misuse = error;
      }
    });
    if (misuse !== undefined) throw misuse;
  }
}
