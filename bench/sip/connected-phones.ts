/**
 * Phones on TCP or TLS, each with an address and a connection of its own: every one registers, and then they are quiet
 * until standard input ends. A program of its own, because it runs in the generator's namespace:
 *
 *   node connected-phones.ts tcp|tls SERVER PORT DOMAIN PASSWORD COUNT
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { chooseChallenge, formatAuthorization } from "../../src/core/sip/digest/answer.ts";
import { createRequest } from "../../src/core/sip/message/build.ts";
import type { SipResponse } from "../../src/core/sip/message/message.ts";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { SipStreamFramer } from "../../src/core/sip/message/stream-framer.ts";
import { nodeCrypto } from "../../src/node/crypto.ts";
import { PooledRandom } from "../../src/node/random.ts";

const [transport, server, port, domain, password, count] = process.argv.slice(2) as [
  "tcp" | "tls",
  ...[string, string, string, string, string],
];
const ports = { crypto: nodeCrypto, random: new PooledRandom() };
/** Handshakes under way at once: fewer than a server lets be. */
const atOnce = 64;

class Phone {
  readonly #user: string;
  readonly #address: string;
  readonly #socket: Socket;
  readonly #framer = new SipStreamFramer();
  readonly #registered = Promise.withResolvers<void>();
  #sequence = 0;

  constructor(index: number) {
    this.#user = `u${index}`;
    this.#address = `10.80.${index >> 8}.${index & 255}`;
    const place = { host: server, port: Number(port), localAddress: this.#address };
    // What the server shows is signed by itself.
    this.#socket = transport === "tls" ? connectTls({ ...place, rejectUnauthorized: false }) : connectTcp(place);
    this.#socket.once(transport === "tls" ? "secureConnect" : "connect", () => this.#register());
    this.#socket.on("data", (data) => this.#handleData(data));
    this.#socket.on("error", (error) => this.#registered.reject(error));
    this.#socket.on("close", () => this.#registered.reject(new Error(`${this.#user} lost its connection`)));
  }

  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  #handleData(data: Buffer): void {
    this.#framer.push(data.toString("latin1"));
    for (let frame = this.#framer.next(); frame !== undefined; frame = this.#framer.next()) {
      const message = frame.kind === "message" ? parseMessage(frame.text) : undefined;
      if (message?.kind === "response") this.#handleResponse(message);
    }
  }

  #handleResponse(response: SipResponse): void {
    if (response.status === 200) this.#registered.resolve();
    else if (response.status === 401 && this.#sequence === 1) this.#register(response);
    else this.#registered.reject(new Error(`${this.#user}: ${response.startLine}`));
  }

  #register(asked?: SipResponse): void {
    const [uri, aor] = [`sip:${domain}`, `<sip:${this.#user}@${domain}>`];
    const account = { realm: domain, username: this.#user, password };
    const challenges = asked?.credentials("WWW-Authenticate").map(({ params }) => params) ?? [];
    const challenge = chooseChallenge(challenges, account);
    const answer = challenge && formatAuthorization(ports, account, challenge, { method: "REGISTER", uri, count: 1 });
    const sequence = ++this.#sequence;
    const headers = [
      ["Via", `SIP/2.0/${transport.toUpperCase()} ${this.#address};branch=z9hG4bK${this.#user}.${sequence};rport`],
      ["Max-Forwards", "70"],
      ["From", `${aor};tag=${this.#user}`],
      ["To", aor],
      ["Call-ID", `${this.#user}@bench`],
      ["CSeq", `${sequence} REGISTER`],
      ["Contact", `<sip:${this.#user}@${this.#address}:${this.#socket.localPort};transport=${transport}>`],
      ["Expires", "600"],
      ["User-Agent", "bench"],
      ...(answer === undefined ? [] : [["Authorization", answer] as const]),
    ] as const;
    this.#socket.write(createRequest({ method: "REGISTER", uri, headers }).format(), "latin1");
  }
}

const phones: Phone[] = [];
for (let index = 0; index < Number(count); index++) {
  phones.push(new Phone(index));
  if (phones.length % atOnce === 0) await Promise.all(phones.slice(-atOnce).map(({ registered }) => registered));
}
await Promise.all(phones.map(({ registered }) => registered));
process.stdout.write("registered\n");
process.stdin.resume().once("end", () => process.exit());
