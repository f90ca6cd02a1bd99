/** The hot loops of the TURN server, on the machine alone: no socket, and the cryptography that the daemon uses. */
import { type Address, ipv4 } from "../../src/core/base/address.ts";
import type { Instant, UnixSeconds } from "../../src/core/base/machine.ts";
import { longTermKey } from "../../src/core/stun/credentials.ts";
import { Attribute, MessageClass, Method, PasswordAlgorithmNumber } from "../../src/core/stun/registry.ts";
import { StunView } from "../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../src/core/stun/writer.ts";
import type { ClientPath } from "../../src/core/turn/server/client-path.ts";
import type { UserKeys } from "../../src/core/turn/server/outputs.ts";
import { TurnServer } from "../../src/core/turn/server/turn-server.ts";
import { nodeCrypto } from "../../src/node/crypto.ts";
import { PooledRandom } from "../../src/node/random.ts";
import { baseConfig, REALM } from "../../test/core/turn/server/world.ts";

const now = 1000 as Instant;
const unlimited = 1e9;
const local: Address = ipv4(0x09090901, 3478);
const peer: Address = ipv4(0x08080404, 5000);
const channel = 0x4000;
const username = "alice";
const [md5, sha256] = [PasswordAlgorithmNumber.Md5, PasswordAlgorithmNumber.Sha256].map((algorithm) =>
  longTermKey(nodeCrypto, algorithm, username, REALM, "wonderland"),
) as [Uint8Array, Uint8Array];
const keys: UserKeys = { username, md5, sha256 };
const key = nodeCrypto.importKey(md5);

/** As the datapath lends them: the bytes at the beginning of a longer slot. */
const slot = new Uint8Array(65_536);

export class TurnLoops {
  readonly #server: TurnServer;
  readonly #path: { -readonly [K in keyof ClientPath]: ClientPath[K] };
  readonly #writer: StunWriter = new StunWriter();
  readonly #view: StunView = new StunView();
  #answer: Uint8Array = slot;
  #relay = 0;
  #nonce = "";
  #transaction = 0;

  constructor() {
    const { quotas } = baseConfig;
    const config = {
      ...baseConfig,
      quotas: { ...quotas, allocations: unlimited, allocationsPerUser: unlimited, allocationsPerSource: unlimited },
      budgets: { unauthenticatedPerSecond: unlimited, requestsPerSecond: unlimited },
    };
    const wallClock = { now: () => 1_800_000_000 as UnixSeconds };
    this.#server = new TurnServer(config, { crypto: nodeCrypto, random: new PooledRandom(), wallClock });
    this.#path = { transport: "udp", listener: 1, local, remote: ipv4(0x05060708, 1000), connection: 0 };
  }

  /** By name, what one call of each loop does. */
  loops(): Readonly<Record<string, () => void>> {
    const binding = this.#unsealed(Method.Binding);
    const challenge = this.#unsealed(Method.Allocate, allocateBody);
    this.#allocate();
    this.#tell(this.#sealed(Method.ChannelBind, channelBody));
    const refresh = this.#sealed(Method.Refresh);
    const toPeer = new Uint8Array(176);
    toPeer.set([channel >> 8, channel & 0xff, 0, 172]);
    const fromPeer = new Uint8Array(172);
    const other = this.#path.remote;
    return {
      "Binding, answered": () => this.#tell(binding),
      "Allocate, challenged": () => this.#tell(challenge),
      "Refresh, authenticated": () => this.#tell(refresh),
      "Allocate and release, authenticated": () => {
        this.#path.remote = ipv4(other.w3, other.port + 1);
        this.#allocate();
        this.#tell(this.#sealed(Method.Refresh, (writer) => writer.u32(Attribute.Lifetime, 0)));
        this.#path.remote = other;
      },
      "packet on a channel, to the peer": () => {
        slot.set(toPeer);
        this.#server.handleClientDatagram(slot, toPeer.length, this.#path, now);
      },
      "packet on a channel, to the client": () => {
        this.#server.handlePeerDatagram(fromPeer, fromPeer.length, peer, 0, now);
      },
    };
  }

  #allocate(): void {
    this.#tell(this.#unsealed(Method.Allocate, allocateBody));
    this.#view.decode(this.#answer);
    this.#nonce = this.#view.text(Attribute.Nonce, 763) ?? "";
    this.#tell(this.#sealed(Method.Allocate, allocateBody));
  }

  #tell(request: Uint8Array): void {
    slot.set(request);
    this.#server.handleClientDatagram(slot, request.length, this.#path, now);
    for (let o = this.#server.pollOutput(); o !== undefined; o = this.#server.pollOutput()) {
      if (o.kind === "send") this.#answer = o.data;
      else if (o.kind === "lookupKey") this.#server.handleKey(o.query, keys, now);
      else if (o.kind === "bindRelay") {
        this.#relay = o.relay;
        this.#server.handleRelayBound(this.#relay, now);
      }
    }
  }

  #id(): Uint8Array {
    const id = new Uint8Array(12);
    new DataView(id.buffer).setUint32(8, ++this.#transaction);
    return messageId(id);
  }

  #unsealed(method: number, body?: (writer: StunWriter) => void): Uint8Array {
    const writer = this.#writer.begin(method, MessageClass.Request, this.#id());
    body?.(writer);
    return writer.finish();
  }

  #sealed(method: number, body?: (writer: StunWriter) => void): Uint8Array {
    const writer = this.#writer.begin(method, MessageClass.Request, this.#id());
    body?.(writer);
    writer.text(Attribute.Username, username).text(Attribute.Realm, REALM).text(Attribute.Nonce, this.#nonce);
    return writer.integritySha1(nodeCrypto, key).finish();
  }
}

function allocateBody(writer: StunWriter): void {
  writer.u32(Attribute.RequestedTransport, 17 << 24);
}

function channelBody(writer: StunWriter): void {
  writer.u32(Attribute.ChannelNumber, channel << 16).xorAddress(Attribute.XorPeerAddress, peer);
}
