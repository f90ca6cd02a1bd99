/** Numbered Bindings, whose transaction ID tells which of them an answer is of. Nothing is kept for one. */
import { type Address, blankAddress, copyAddress } from "../base/address.ts";
import { readU32, writeU32 } from "../base/bytes.ts";
import type { Random } from "../base/ports.ts";
import { Attribute, MessageClass, Method } from "./registry.ts";
import { StunView } from "./view.ts";
import { messageId, StunWriter } from "./writer.ts";

const ID_BYTES = 12;
const NUMBER_AT = 8;
/** Where the transaction ID lies in a message, behind the magic cookie. */
const ID_AT = 8;

export interface BindingAnswer {
  readonly sequence: number;
  readonly mapped: Readonly<Address> | undefined;
}

export class BindingProbes {
  readonly #id: Uint8Array;
  readonly #writer = new StunWriter();
  readonly #view = new StunView();

  constructor(random: Random) {
    this.#id = random.bytes(ID_BYTES);
  }

  request(sequence: number): Uint8Array {
    writeU32(this.#id, NUMBER_AT, sequence);
    return this.#writer.begin(Method.Binding, MessageClass.Request, messageId(this.#id)).finish();
  }

  /** The answer to one of these; undefined for anything else, and for a refusal. */
  read(data: Uint8Array): BindingAnswer | undefined {
    const view = this.#view;
    if (view.decode(data) !== undefined || view.method !== Method.Binding) return undefined;
    if (view.class !== MessageClass.Success) return undefined;
    for (let i = 0; i < NUMBER_AT; i++) if (view.data[ID_AT + i] !== this.#id[i]) return undefined;
    const index = view.indexOf(Attribute.XorMappedAddress);
    const mapped = blankAddress();
    const isTold = index >= 0 && view.xorAddressAt(index, mapped);
    return { sequence: readU32(view.data, ID_AT + NUMBER_AT), mapped: isTold ? copyAddress(mapped) : undefined };
  }
}
