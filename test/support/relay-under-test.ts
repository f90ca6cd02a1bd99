/**
 * A TURN server as interoperability tests and benchmarks see it: a real process, told where to listen and whom to trust,
 * which says when it is ready and how many relayed transport addresses it holds. Postern and coturn are started through
 * the same options, so a test that is suspected of being wrong can be tried against coturn:
 *
 *   POSTERN_RELAY_UNDER_TEST=coturn node --test test/interop/coturn-tools.test.ts
 */
import { startCoturn } from "./coturn.ts";
import { startPostern } from "./postern.ts";

export interface RelayOptions {
  /** Where clients are served and relayed transport addresses are opened. */
  readonly addresses?: readonly string[];
  /** What is told instead of each address, by address: the outside of a 1:1 NAT. */
  readonly external?: Readonly<Record<string, string>>;
  readonly realm?: string;
  /** Name and password of one user. Not beside `sharedSecret`. */
  readonly user?: { readonly name: string; readonly password: string };
  /** For time-limited credentials. */
  readonly sharedSecret?: string;
  /** PEM files; with them there is a TLS listener. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  readonly relayPorts: { readonly low: number; readonly high: number };
  /** Prefixes of peers that may be reached although they are not public. */
  readonly allowPeers: readonly string[];
  readonly channelRange?: "rfc8656" | "rfc5766";
  /** Seconds, the longest that a client is given. */
  readonly maxLifetime?: number;
  /** Quotas so high that a load generator does not meet them. The limiters themselves stay on. */
  readonly highQuotas?: boolean;
  /** What only one of the servers knows: flags of coturn's, settings of Postern's. */
  readonly coturn?: readonly string[];
  readonly postern?: Readonly<Record<string, unknown>>;
  /** Who Postern is to be, by number: its files are theirs. The command before it sees to that they are. */
  readonly owner?: number;
  /** Where Postern's program is that is started; its source when not given. */
  readonly program?: string;
  /** What stands between `postern` and `serve`. */
  readonly behind?: readonly string[];
  readonly port: number;
  readonly tlsPort?: number;
  /** What the server is started through, such as `["taskset", "-c", "0"]` or `["ip", "netns", "exec", name]`. */
  readonly through?: readonly string[];
}

export interface RelayUnderTest {
  readonly name: "postern" | "coturn";
  /** Of the process that relays. */
  readonly pid: number;
  /** What it logged. */
  output(): string;
  isRunning(): boolean;
  /** One of its metrics, such as `postern_turn_allocations`; undefined where it tells nothing of the kind. */
  metric(name: string): Promise<number | undefined>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts the server that tests are about, and resolves when it answers. */
export function startRelay(options: RelayOptions): Promise<RelayUnderTest> {
  return process.env.POSTERN_RELAY_UNDER_TEST === "coturn" ? startCoturn(options) : startPostern(options);
}
