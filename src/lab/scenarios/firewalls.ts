/** Firewalls that let ever less out, and which way the TURN client has through each: the relay's echo comes back. */
import { allocate, bindPeer, openEcho, relayId } from "../ends.ts";
import type { FirewallName } from "../firewalls.ts";
import type { Lab } from "../lab.ts";
import type { Outcome, Scenario } from "../scenario.ts";
import { Server, type ServerOptions } from "../server.ts";
import { serverAddresses } from "../topology.ts";

/** A way to the relay: what is tried, and whether this firewall lets it pass. */
interface Attempt {
  readonly way: string;
  readonly url: string;
  readonly passes: boolean;
  readonly throughProxy?: boolean;
}

interface Trial {
  readonly firewall: FirewallName;
  readonly title: string;
  readonly servers: readonly ServerOptions[];
  readonly attempts: readonly Attempt[];
}

const [first, second] = serverAddresses;
const texts = 10;
const proxyPort = 3128;
/** How long a way is tried that ought to be shut, and one that ought to be open. */
const patienceMs = { shut: 2_000, open: 8_000 };

const usual: ServerOptions = {};
const overUdp: Attempt = { way: "UDP", url: `turn:${first}`, passes: true };
const overTcp: Attempt = { way: "TCP", url: `turn:${first}?transport=tcp`, passes: true };
const overTls443: Attempt = { way: "TLS on port 443", url: `turns:${first}:443`, passes: true };
const tls443: ServerOptions = { ports: { tls: 443 } };

function shut(attempt: Attempt): Attempt {
  return { ...attempt, passes: false };
}

export const trials: readonly Trial[] = [
  {
    firewall: "inside to outside",
    title: "The firewall lets in nothing but answers.",
    servers: [usual],
    attempts: [overUdp, overTcp],
  },
  {
    firewall: "no VoIP ports",
    title: "The firewall denies the ports of SIP, STUN, TURN and RTP; the server listens on 443 and 80 as well.",
    servers: [{ ports: { udp: 443, tcp: 80, tls: 443 }, listen: [first] }, { listen: [second] }],
    attempts: [
      shut({ way: "UDP on port 3478", url: `turn:${second}`, passes: true }),
      { way: "UDP on port 443", url: `turn:${first}:443`, passes: true },
      { way: "TCP on port 80", url: `turn:${first}:80?transport=tcp`, passes: true },
    ],
  },
  {
    firewall: "UDP blocked",
    title: "The firewall lets no UDP through.",
    servers: [usual],
    attempts: [shut(overUdp), overTcp],
  },
  {
    firewall: "STUN inspected",
    title: "The firewall looks into UDP, and drops what looks like STUN.",
    servers: [tls443],
    attempts: [shut(overUdp), overTls443],
  },
  {
    firewall: "only 443, inspected",
    title: "The firewall lets out TCP to port 443 alone, and resets what looks like STUN there.",
    servers: [
      { ports: { tls: 443 }, listen: [first] },
      { ports: { tcp: 443 }, listen: [second] },
    ],
    attempts: [
      shut(overUdp),
      { way: "TCP on port 443", url: `turn:${second}:443?transport=tcp`, passes: false },
      overTls443,
    ],
  },
  {
    firewall: "only the proxy",
    title: "Nothing gets out but through the company's HTTP proxy.",
    servers: [tls443],
    attempts: [
      shut(overTls443),
      { ...overTls443, way: "TLS through the proxy", throughProxy: true },
      { ...overTcp, way: "TCP through the proxy", throughProxy: true },
    ],
  },
];

/** How many of the texts came back, or why there is no relay. */
async function echoes(lab: Lab, attempt: Attempt, server: Server, peer: string, id: string): Promise<number | string> {
  const alice = await lab.agent("alice");
  const proxy = attempt.throughProxy ? `http://${lab.network.addressOf("proxy")}:${proxyPort}` : undefined;
  try {
    const within = patienceMs[attempt.passes ? "open" : "shut"] + 10 * lab.roundTrip;
    await allocate(lab, "alice", server.turn(attempt.url), { id, proxy, within });
    await bindPeer(lab, "alice", peer, id);
  } catch (error) {
    return (error as Error).message;
  }
  await alice.tell("send", { id, to: peer, texts: Array.from({ length: texts }, (_, i) => `${attempt.way} ${i}`) });
  return (await alice.hears(id, texts)).length;
}

function tell({ way, passes }: Attempt, got: number | string): { isAsMeant: boolean; words: string } {
  if (typeof got === "number")
    return { isAsMeant: passes && got === texts, words: `${way}: ${got} of ${texts} echoed` };
  const [, shut] = signsOfFirewall.find(([sign]) => sign.test(got)) ?? [];
  if (shut === undefined) return { isAsMeant: false, words: `${way}: ${got}` };
  return { isAsMeant: !passes, words: `${way}: shut (${shut})` };
}

/** A server that refuses shuts no way. */
const signsOfFirewall: readonly (readonly [RegExp, string])[] = [
  [/timeout/, "no answer"],
  [/ECONNRESET/, "reset"],
];

async function tryAll(lab: Lab, { servers, attempts }: Trial): Promise<Outcome> {
  const [server] = await Promise.all(servers.map((options) => Server.start(lab, options)));
  const peer = await openEcho(lab, "bob");
  const proxy = await lab.agent("proxy");
  await proxy.tell("proxy", { port: proxyPort });
  const told = await Promise.all(
    attempts.map(async (attempt, i) =>
      tell(attempt, await echoes(lab, attempt, server as Server, peer, `${relayId} ${i}`)),
    ),
  );
  return {
    outcome: told.every(({ isAsMeant }) => isAsMeant) ? "works" : "fails",
    why: told.map(({ words }) => words).join("; "),
  };
}

/** `firewall`: another one than the trial's own, to see that the trial tells. */
export function firewallScenario(trial: Trial, firewall: FirewallName = trial.firewall): Scenario {
  return {
    name: `firewall: ${trial.firewall}`,
    title: trial.title,
    topology: {
      outside: ["server", "bob", "proxy"],
      sites: [{ name: "office", hosts: ["alice"], gateways: [{ nat: "port-restricted cone", firewall }] }],
    },
    expected: "works",
    run: (lab) => tryAll(lab, trial),
  };
}

export const firewallScenarios: readonly Scenario[] = trials.map((trial) => firewallScenario(trial));
