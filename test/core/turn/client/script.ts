/** A TURN client against answers that a test writes itself, for what the real server never says. */
import assert from "node:assert/strict";
import { after, type Instant, type UnixSeconds } from "../../../../src/core/base/machine.ts";
import { longTermKey } from "../../../../src/core/stun/credentials.ts";
import { Attribute, MessageClass, Method, PasswordAlgorithmNumber } from "../../../../src/core/stun/registry.ts";
import { encodeNonceCookie } from "../../../../src/core/stun/security-features.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { StunWriter } from "../../../../src/core/stun/writer.ts";
import type { TurnClientConfig } from "../../../../src/core/turn/client/config.ts";
import type { TurnClientOutput } from "../../../../src/core/turn/client/outputs.ts";
import { TurnClient } from "../../../../src/core/turn/client/turn-client.ts";
import { SeededRandom, testCrypto } from "../../../support/crypto.ts";
import { address, REALM } from "../server/world.ts";
import { clientConfig } from "./pair.ts";

type Build = (writer: StunWriter) => unknown;

export class Script {
  now: Instant = 0 as Instant;
  readonly client: TurnClient;
  readonly told: TurnClientOutput[] = [];
  readonly nonce: string;

  constructor(config: Partial<TurnClientConfig> = {}, nonce = "plain") {
    this.nonce = nonce;
    const wallClock = { now: () => 0 as UnixSeconds };
    this.client = new TurnClient(
      { ...clientConfig, keepalive: 0, ...config },
      {
        crypto: testCrypto,
        random: new SeededRandom(5),
        wallClock,
      },
    );
    this.client.open(this.now);
    this.drain();
    this.client.handleConnected(this.now);
    this.drain();
  }

  drain(): void {
    for (let o = this.client.pollOutput(); o !== undefined; o = this.client.pollOutput()) this.told.push(o);
  }

  /** Lets time pass, firing what falls due. */
  pass(seconds: number): void {
    const end = after(this.now, seconds * 1000);
    for (let due = this.client.pollTimeout(); due !== undefined && due <= end; due = this.client.pollTimeout()) {
      this.now = due;
      this.client.handleTimeout(due);
      this.drain();
    }
    this.now = end;
  }

  /** The last message that the client sent. */
  get request(): StunView {
    const sent = this.told.findLast((output) => output.kind === "send");
    assert.ok(sent?.kind === "send");
    const view = new StunView();
    assert.equal(view.decode(sent.data), undefined);
    return view;
  }

  get sends(): number {
    return this.told.filter(({ kind }) => kind === "send").length;
  }

  /** Reasons that were told, in order. */
  get reasons(): string[] {
    return this.told.flatMap((o) => {
      if (o.kind !== "event" || !("failure" in o.event) || o.event.failure === undefined) return [];
      return [`${o.event.type} ${o.event.failure.reason}`];
    });
  }

  get connects(): string[] {
    return this.told.flatMap((o) => (o.kind === "connect" ? [`${o.server.w3 >>> 0}:${o.server.port}`] : []));
  }

  /** Answers the last request, sealed with `password` in the way that the nonce says, or not at all. */
  answer(messageClass: MessageClass, build: Build, password: string | undefined = undefined, realm = REALM): void {
    const { request } = this;
    const writer = new StunWriter().begin(request.method, messageClass, request.data.subarray(4, 20));
    build(writer);
    if (password !== undefined) {
      const isNew = request.has(Attribute.PasswordAlgorithm);
      const algorithm = isNew ? PasswordAlgorithmNumber.Sha256 : PasswordAlgorithmNumber.Md5;
      const key = testCrypto.importKey(longTermKey(testCrypto, algorithm, "alice", realm, password));
      if (isNew) writer.integritySha256(testCrypto, key);
      else writer.integritySha1(testCrypto, key);
    }
    this.deliver(writer.finish());
  }

  deliver(data: Uint8Array): void {
    this.client.handleServerDatagram(data, data.length, this.now);
    this.drain();
  }

  refuse(code: number, build: Build = () => {}, password: string | undefined = undefined): void {
    this.answer(MessageClass.Error, (w) => build(w.errorCode(code)), password);
  }

  challenge(code = 401, realm = REALM): void {
    this.refuse(code, (w) => {
      w.text(Attribute.Realm, realm).text(Attribute.Nonce, this.nonce);
      if (this.nonce.startsWith("obMatJos2"))
        w.bytes(Attribute.PasswordAlgorithms, Uint8Array.of(0, 2, 0, 0, 0, 1, 0, 0));
    });
  }

  grant(lifetime = 600): void {
    assert.equal(this.request.method, Method.Allocate);
    this.answer(
      MessageClass.Success,
      (w) => {
        w.xorAddress(Attribute.XorRelayedAddress, address("9.9.9.1:50000"));
        w.xorAddress(Attribute.XorMappedAddress, address("5.6.7.8:20001")).u32(Attribute.Lifetime, lifetime);
      },
      "wonderland",
    );
  }

  /** A client with an allocation. */
  static allocated(config: Partial<TurnClientConfig> = {}, nonce?: string): Script {
    const script = new Script(config, nonce);
    script.challenge();
    script.grant();
    assert.ok(script.client.isLive);
    return script;
  }
}

/** A nonce that promises PASSWORD-ALGORITHMS. */
export const NEGOTIATING: string = `${encodeNonceCookie(1)}nonce`;
