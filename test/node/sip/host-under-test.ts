/** A `SipHost` on loopback, and phones at loopback addresses of their own. */
import type { EdgeConfig } from "../../../src/core/edge/config.ts";
import { DEFAULT_EDGE_LIMITS } from "../../../src/core/edge/config.ts";
import type { EdgeEvent, SipUserKeys } from "../../../src/core/edge/outputs.ts";
import { DEFAULT_RELAY_QUOTAS } from "../../../src/core/relay/config.ts";
import { digestHash } from "../../../src/core/sip/digest/algorithm.ts";
import type { BindingRecord } from "../../../src/core/sip/registrar/binding.ts";
import { defaultRegistrarConfig } from "../../../src/core/sip/registrar/config.ts";
import { chooseDatapath } from "../../../src/node/datapath/choice.ts";
import { createDatapath } from "../../../src/node/datapath/creation.ts";
import type { Datapath } from "../../../src/node/datapath/datapath.ts";
import { SipHost, type SipHostOptions } from "../../../src/node/sip/sip-host.ts";
import { testCrypto } from "../../support/crypto.ts";
import { freePort, freePortRange } from "../../support/ports.ts";
import { SipPhone } from "../../support/sip-phone.ts";
import { at } from "../host-under-test.ts";

export const DOMAIN = "example.org";
const EDGE = "127.0.0.1";

function passwordOf(user: string): string {
  return `secret of ${user}`;
}

function keysOf(user: string): SipUserKeys | undefined {
  if (!["alice", "bob"].includes(user)) return undefined;
  const text = `${user}:${DOMAIN}:${passwordOf(user)}`;
  return { md5: digestHash(testCrypto, "MD5", text), sha256: digestHash(testCrypto, "SHA-256", text) };
}

export async function edgeConfig(): Promise<EdgeConfig> {
  const { low, high } = await freePortRange(64);
  const [address, port] = [at(EDGE), await freePort()];
  const name = `${EDGE}:${port}`;
  return {
    domain: DOMAIN,
    listeners: (["udp", "tcp"] as const).map((transport) => ({ transport, local: at(EDGE, port), name })),
    registrar: defaultRegistrarConfig,
    digest: {
      realm: DOMAIN,
      nonceKeys: [new Uint8Array(32)],
      nonceLifetime: 300,
      algorithms: ["SHA-256", "MD5"],
      nonceCapacity: 1000,
    },
    tokenKeys: [new Uint8Array(32).fill(7)],
    relay: {
      addresses: [{ bound: address, advertised: address }],
      ports: { min: low, max: high },
      ownAddresses: [address],
      quotas: DEFAULT_RELAY_QUOTAS,
      mediaTimeout: 60_000,
      setupTimeout: 600_000,
    },
    media: "anchored",
    sites: [],
    trunks: [],
    limits: DEFAULT_EDGE_LIMITS,
  };
}

export class SipHostUnderTest implements AsyncDisposable {
  readonly host: SipHost;
  readonly config: EdgeConfig;
  readonly datapath: Datapath = createDatapath(chooseDatapath("auto").kind);
  readonly events: EdgeEvent[] = [];
  readonly stored: Map<string, BindingRecord> = new Map();

  private constructor(config: EdgeConfig, options: Partial<SipHostOptions>) {
    this.config = config;
    this.host = new SipHost({
      keys: async (user) => keysOf(user),
      onEvent: (event) => this.events.push(event),
      location: {
        store: (binding) => this.stored.set(binding.contact, binding),
        forget: (binding) => this.stored.delete(binding.contact),
      },
      ...options,
      config,
      datapath: this.datapath,
      messages: createDatapath(chooseDatapath("auto").kind),
    });
  }

  static async open(options: Partial<SipHostOptions> = {}): Promise<SipHostUnderTest> {
    const made = new SipHostUnderTest(options.config ?? (await edgeConfig()), options);
    for (const { transport, local: address } of made.config.listeners) await made.host.listen({ transport, address });
    return made;
  }

  /** `last`: of its address, 127.0.0.x. */
  phone(
    user: string,
    last: number,
    { password = passwordOf(user), transport = "udp" }: { password?: string; transport?: "udp" | "tcp" } = {},
  ): Promise<SipPhone> {
    const [listener] = this.config.listeners;
    const server = listener?.local ?? at(EDGE);
    return SipPhone.open({ user, domain: DOMAIN, password }, `127.0.0.${last}`, server, transport);
  }

  /** What was told of calls, or of bindings. */
  told(type: "binding" | "call" | "trouble"): string[] {
    return this.events.flatMap((event) => (event.type === type ? [event.what] : []));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.host.close();
  }
}
