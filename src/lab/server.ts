/** A real `postern serve` on a host of the lab, and what a client is told of it. */
import { createHmac, randomBytes } from "node:crypto";
import type { Lab } from "./lab.ts";
import { ownFiles } from "./namespace.ts";
import type { Order } from "./orders.ts";
import type { Program } from "./program.ts";
import { internet, serverAddresses } from "./topology.ts";

export interface ServerOptions {
  /** Two of them make NAT discovery. */
  readonly listen?: readonly string[];
  /** `off`, or 3478 and 5349 when not given. */
  readonly ports?: Readonly<Partial<Record<"udp" | "tcp" | "tls", number | "off">>>;
}

export type TurnLogin = Pick<Order<"allocate">, "url" | "username" | "credential">;

const secret = randomBytes(16).toString("hex");
/** Seconds. */
const credentialLifetime = 3_600;

export class Server {
  readonly address: string;
  readonly #program: Program;

  /** Resolves when it serves. */
  static async start(lab: Lab, { listen = serverAddresses, ports = {} }: ServerOptions = {}): Promise<Server> {
    const program = await lab.postern(
      "server",
      ...["serve", "--data-dir", `${ownFiles}/${listen.join("-")}`],
      ...listen.flatMap((address) => ["--listen", address]),
      ...Object.entries(ports).flatMap(([transport, port]) => [`--${transport}-port`, `${port}`]),
      ...(listen.length > 1 ? ["--nat-discovery", "auto"] : []),
      ...["--shared-secrets", secret, "--allow-peers", internet.network],
      ...["--drain-deadline", "0s", "--log-format", "json", "--http-listen", "off", "--greeting", "false"],
    );
    await program.says('"serving"');
    return new Server(listen[0] as string, program);
  }

  private constructor(address: string, program: Program) {
    this.address = address;
    this.#program = program;
  }

  /** Where a STUN client asks. */
  get stun(): string {
    return `${this.address}:3478`;
  }

  /** How to allocate: `turn:ADDRESS` and what is appended, or all of a URL. */
  turn(rest = ""): TurnLogin {
    const username = `${Math.floor(Date.now() / 1_000) + credentialLifetime}:lab`;
    const credential = createHmac("sha1", secret).update(username).digest("base64");
    return { url: rest.startsWith("turn") ? rest : `turn:${this.address}${rest}`, username, credential };
  }

  stop(): Promise<unknown> {
    return this.#program.stop();
  }
}
