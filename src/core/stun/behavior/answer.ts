/** What a message says that came in answer to a probe. */
import { type Address, blankAddress, copyAddress } from "../../base/address.ts";
import { Attribute, MessageClass } from "../registry.ts";
import type { StunView } from "../view.ts";
import type { Answer, ProbeSocketId } from "./procedure.ts";

export function readAnswer(view: StunView, on: ProbeSocketId, from: Readonly<Address>): Answer {
  const error = view.bytes(Attribute.ErrorCode);
  const plain = addressIn(view, Attribute.MappedAddress, false);
  return {
    kind: view.class === MessageClass.Request ? "echo" : view.class === MessageClass.Error ? "error" : "success",
    from: copyAddress(from),
    on,
    code: error === undefined || error.length < 4 ? 0 : (error[2] as number) * 100 + (error[3] as number),
    mapped: view.classic ? plain : addressIn(view, Attribute.XorMappedAddress, true),
    plain,
    other: addressIn(view, Attribute.OtherAddress, false),
    hasPadding: view.has(Attribute.Padding),
  };
}

function addressIn(view: StunView, type: number, xor: boolean): Readonly<Address> | undefined {
  const index = view.indexOf(type);
  const address = blankAddress();
  if (index < 0) return undefined;
  return (xor ? view.xorAddressAt(index, address) : view.addressAt(index, address)) ? address : undefined;
}
