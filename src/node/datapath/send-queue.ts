/** Datagrams that wait until the kernel has room: first in, first out, and bounded. */
import type { Address } from "../../core/base/address.ts";
import type { IpFields } from "../../core/base/ip-fields.ts";

/** Datagrams that may wait, and their bytes. */
const queuePackets = 256;
const queueBytes = 1 << 20;

interface Waiting {
  readonly data: Uint8Array;
  readonly to: Readonly<Address>;
  readonly fields: IpFields;
}

export class SendQueue {
  #waiting: Waiting[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get first(): Waiting | undefined {
    return this.#waiting[0];
  }

  hasRoom(length: number): boolean {
    return this.#waiting.length < queuePackets && this.#bytes + length <= queueBytes;
  }

  push(data: Uint8Array, to: Readonly<Address>, fields: IpFields): void {
    this.#waiting.push({ data, to, fields });
    this.#bytes += data.length;
  }

  shift(): void {
    this.#bytes -= this.#waiting.shift()?.data.length ?? 0;
  }
}

/** Nothing waits, as it is nearly always: one for all sockets. Nothing is ever put into it. */
export const NOTHING_WAITS: SendQueue = new SendQueue();
