/** Asks one gateway for its external address, until it answers or is given up (RFC 6886 §3.1, §3.2). */
import { type Address, sameAddress } from "../base/address.ts";
import { after, type Instant, type Machine } from "../base/machine.ts";
import { OutputQueue } from "../base/output-queue.ts";
import {
  decodeExternalAddressResponse,
  type ExternalAddressResponse,
  encodeExternalAddressRequest,
  NAT_PMP_PORT,
} from "./nat-pmp.ts";

export type ExternalAddressOutput =
  | { readonly kind: "send"; readonly to: Readonly<Address>; readonly data: Uint8Array }
  /** The last output. Undefined: the gateway is silent. */
  | { readonly kind: "result"; readonly response: ExternalAddressResponse | undefined };

// RFC 6886 §3.1: the first wait is 250 ms, and it doubles.
const FIRST_WAIT = 250;

// DEVIATES RFC 6886 §3.1: three requests in place of nine, which take two minutes: most gateways have no NAT-PMP, and
// somebody waits.
const REQUESTS = 3;

export class ExternalAddressQuery implements Machine<ExternalAddressOutput> {
  readonly #outputs = new OutputQueue<ExternalAddressOutput>();
  readonly #gateway: Readonly<Address>;
  #sent = 0;
  #deadline: Instant | undefined;

  /** The gateway's port does not matter. */
  constructor(gateway: Readonly<Address>) {
    this.#gateway = { ...gateway, port: NAT_PMP_PORT };
  }

  start(now: Instant): void {
    if (this.#sent === 0) this.#send(now);
  }

  handleDatagram(data: Uint8Array, from: Readonly<Address>, _now: Instant): void {
    // RFC 6886 §3.2.1: what another address than the gateway's sends is discarded.
    if (this.#deadline === undefined || !sameAddress(from, this.#gateway)) return;
    const response = decodeExternalAddressResponse(data);
    if (response !== undefined) this.#end(response);
  }

  pollOutput(): ExternalAddressOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#deadline;
  }

  handleTimeout(now: Instant): void {
    if (this.#deadline === undefined || now < this.#deadline) return;
    if (this.#sent < REQUESTS) this.#send(now);
    else this.#end(undefined);
  }

  #send(now: Instant): void {
    this.#outputs.push({ kind: "send", to: this.#gateway, data: encodeExternalAddressRequest() });
    this.#deadline = after(now, FIRST_WAIT * 2 ** this.#sent++);
  }

  #end(response: ExternalAddressResponse | undefined): void {
    this.#deadline = undefined;
    this.#outputs.push({ kind: "result", response });
  }
}
