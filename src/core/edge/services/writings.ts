/** Descriptions on their way through the relay, which opens ports for them and writes ours with those in it. */
import type { Instant } from "../../base/machine.ts";
import type { CallDescription } from "../../call/description.ts";
import type { MediaRelay } from "../../relay/media-relay.ts";
import type { SdpDocument } from "../../sdp/document.ts";
import { documentOf } from "./descriptions.ts";
import type { ServiceCall } from "./service-call.ts";

export interface Writing {
  readonly call: ServiceCall;
  /** Of ours the caller is told; the caller's is told to nobody. */
  readonly isOurs: boolean;
}

export class Writings {
  readonly #relay: MediaRelay;
  readonly #waiting: Map<number, Writing> = new Map();
  /** Below zero: the relay's other user counts upwards. */
  #last = 0;

  constructor(relay: MediaRelay) {
    this.#relay = relay;
  }

  /** Undefined where it is another's. */
  take(request: number): Writing | undefined {
    const writing = this.#waiting.get(request);
    this.#waiting.delete(request);
    return writing;
  }

  /** Lets the relay know what the caller says. */
  hear(call: ServiceCall, document: SdpDocument, role: "offer" | "answer", now: Instant): void {
    const request = this.#note({ call, isOurs: false });
    this.#relay.describe({ request, from: call.phone, to: call.ours, role, document }, now);
  }

  /** Has the relay write what the caller is told. False where that cannot be said. */
  write(call: ServiceCall, description: CallDescription, role: "offer" | "answer", now: Instant): boolean {
    const document = nextDocument(call, description);
    if (document === undefined) return false;
    const request = this.#note({ call, isOurs: true });
    this.#relay.describe({ request, from: call.ours, to: call.phone, role, document }, now);
    return true;
  }

  #note(writing: Writing): number {
    this.#last--;
    this.#waiting.set(this.#last, writing);
    return this.#last;
  }
}

/** RFC 3264 §8: a description that changes has the next version. */
function nextDocument(call: ServiceCall, description: CallDescription): SdpDocument | undefined {
  const { flow, sdpSession: session } = call;
  const plain = documentOf(description, flow.local, { session, version: 0 });
  if (typeof plain === "string") return undefined;
  const said = plain.format();
  if (said !== call.said) call.sdpVersion++;
  call.said = said;
  const document = documentOf(description, flow.local, { session, version: call.sdpVersion });
  return typeof document === "string" ? undefined : document;
}
