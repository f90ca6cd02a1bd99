/** An ICE connection on a host of the lab, which is told what to do as the other ends are. */
import { formatAddress } from "../core/base/address.ts";
import type { IceEvent } from "../core/ice/outputs.ts";
import { IceConnection } from "../node/ice/ice-connection.ts";
import type { IceOutcome, Order } from "./orders.ts";

export class IceEnd {
  readonly connection: IceConnection;
  readonly #outcome: PromiseWithResolvers<IceOutcome> = Promise.withResolvers();
  #began = 0;
  #chosen: Extract<IceEvent, { type: "selected" }> | undefined;

  static async open(
    { iceServers, hardNats = false }: Order<"iceOpen">,
    onData: (from: string, data: Uint8Array) => void,
  ): Promise<IceEnd> {
    return new IceEnd(await IceConnection.open({ iceServers, hardNats }), onData);
  }

  private constructor(connection: IceConnection, onData: (from: string, data: Uint8Array) => void) {
    this.connection = connection;
    connection.onData = (data) => {
      const path = connection.path();
      onData(path === undefined ? "" : formatAddress(path.remote.address), data);
    };
    connection.onEvent = (event) => this.#follow(event);
  }

  /** Resolves with the path, or with the likely cause why there is none. */
  meet(description: string): Promise<IceOutcome> {
    this.#began = performance.now();
    this.connection.setRemoteDescription(description);
    return this.#outcome.promise;
  }

  /** The path that is used now, and why. */
  get path(): IceOutcome {
    const path = this.connection.path();
    if (path === undefined || this.#chosen === undefined) throw new Error("there is no path");
    const { code, why } = this.#chosen.reason;
    const [from, to] = [formatAddress(path.local.address), formatAddress(path.remote.address)];
    return { kind: path.kind, from, to, code, why, took: performance.now() - this.#began };
  }

  #follow(event: IceEvent): void {
    if (event.type === "selected") this.#chosen = event;
    if (event.type === "state" && event.state === "connected") this.#outcome.resolve(this.path);
    if (event.type !== "likely-cause" && event.type !== "failed") return;
    // Until the peer is known there is nothing to be judged.
    if (this.#began === 0) return;
    const { code, why, help = "" } = event.reason;
    this.#outcome.resolve({
      kind: "none",
      from: "",
      to: "",
      code,
      why: `${why} ${help}`,
      took: performance.now() - this.#began,
    });
  }
}
