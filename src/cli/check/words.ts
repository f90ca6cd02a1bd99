/** Measurements in plain words, a line each. */
import { type Address, formatAddress, formatIp } from "../../core/base/address.ts";
import type {
  BehaviorReport,
  BindingLifetime,
  ClassicName,
  Filtering,
  Finding,
  Hairpinning,
  LongestDatagram,
  Mapping,
  PortAllocation,
  UnknownReason,
} from "../../core/stun/behavior/report.ts";
import { describeLayers } from "./layers.ts";
import { percent } from "./quality.ts";
import { serverOf, wayOf } from "./targets.ts";
import type { StreamResult, Verdict } from "./verdict.ts";

const reasons: Readonly<Record<UnknownReason, string>> = {
  "not-tested": "not tested",
  "no-socket": "no socket could be opened",
  "no-answer": "no server answered",
  "no-nat": "there is no NAT",
  "one-address": "the server has only one address, and two are needed",
  "other-address-silent": "the server's other address does not answer",
  "change-ignored": "the server does not answer from elsewhere when it is asked to",
  "change-refused": "the server refuses to answer from elsewhere",
  "answer-from-elsewhere": "an answer came from an address that is not the server's",
  "change-unproven": "answers from the server's other address never arrived, even where nothing should stop them",
  "server-busy": "the server was busy: ask again in a minute",
  "response-port-unsupported": "the server does not answer to another port",
  "several-public-addresses": "the NAT uses several public addresses",
  "hidden-by-filter": "the NAT's filter would hide it",
  "too-few-mappings": "too few ports were seen",
  "no-tcp": "the server does not answer over TCP",
  "no-filter": "there is none",
  "opened-by-first-hop": "it opens too early to be placed",
  "too-far": "it is too far away",
  "no-gateway": "this host does not tell its default gateway",
  "gateway-not-private": "the gateway is not a private one, and was not asked",
  "gateway-silent": "the gateway does not answer NAT-PMP",
  "gateway-refuses": "the gateway refuses to tell its address",
  "gateway-without-address": "the gateway says that it has no public address, as many do behind a provider's NAT",
  "no-evidence": "nothing shows another NAT, and nothing excludes it",
  "no-long-answer": "no long datagram was answered",
};

const classicNames: Readonly<Record<ClassicName, string>> = {
  open: "no NAT and no filter",
  "symmetric-firewall": "no NAT, a firewall that lets answers in",
  "full-cone": "full cone NAT",
  "restricted-cone": "address-restricted cone NAT",
  "port-restricted-cone": "port-restricted cone NAT",
  symmetric: "symmetric NAT",
};

const mappings: Readonly<Record<Mapping, string>> = {
  "endpoint-independent": "the same port toward everybody",
  "destination-dependent": "another port toward another server",
  "address-dependent": "another port toward every address",
  "address-and-port-dependent": "another port toward every address and port",
};

const filters: Readonly<Record<Filtering, string>> = {
  "endpoint-independent": "lets everybody in once a port is open",
  "address-dependent": "lets in those addresses that were sent to",
  "address-and-port-dependent": "lets in only those addresses and ports that were sent to",
};

const hairpins: Readonly<Record<Hairpinning, string>> = {
  "external-source": "works: two hosts behind this NAT meet at their public addresses",
  "internal-source": "arrives with the inside address, which many programs reject",
  none: "does not work: two hosts behind this NAT cannot meet at their public addresses",
};

function say<T>(finding: Finding<T>, words: (value: T) => string): string {
  return finding.known ? words(finding.value) : `unknown: ${reasons[finding.why]}`;
}

function ports(value: PortAllocation): string {
  if (value.pattern === "sequential") return `in sequence, by ${value.step}`;
  return value.pattern === "preserving" ? "kept as they are inside" : "random";
}

function lifetime({ atLeast, below, refreshedByInbound }: BindingLifetime): string {
  const least = Math.floor(atLeast);
  const long = below === undefined ? `longer than ${least} s` : `${least} to ${Math.ceil(below)} s`;
  const inbound = refreshedByInbound.known && !refreshedByInbound.value;
  return inbound ? `${long}; only packets from inside keep it` : long;
}

function longest({ bytes, passes, lost }: LongestDatagram): string {
  const way = passes === "outward" ? " outward" : "";
  if (lost === undefined) return `up to ${bytes} bytes pass${way}`;
  return `up to ${bytes} bytes pass${way}, ${lost} are lost: a tunnel or VPN may be on the way`;
}

function lengths({ longestDatagram, fragments }: BehaviorReport): string {
  const whole = say(longestDatagram, longest);
  return fragments.known ? `${whole}; fragments ${fragments.value ? "pass" : "are lost"}` : whole;
}

/** How many NATs there are; without one, how far away the firewall is. */
function boxes(report: BehaviorReport): [string, string][] {
  const { translated, layers, layerEvidence } = report;
  const { filterHops } = layerEvidence;
  if (translated.known && translated.value) return [["NATs", describeLayers(report) ?? say(layers, String)]];
  return filterHops.known ? [["firewall", `the outermost is at hop ${filterHops.value}`]] : [];
}

const places = { 4: "IPv4", 6: "IPv6" } as const;

export function describeReport(report: BehaviorReport): string[] {
  const { publicAddresses, local, translated } = report;
  const seen = publicAddresses.map(formatIp).join(", ") || "not seen by any server";
  const inside = local === undefined ? "" : `, ${formatIp(local)} here`;
  const lines: [string, string][] = [["address", `${seen}${inside}`]];
  if (translated.known) {
    lines.push(["kind", say(report.classicName, (name) => classicNames[name])]);
    if (translated.value) lines.push(["mapping", say(report.mapping, (value) => mappings[value])]);
    lines.push(["filter", say(report.filtering, (value) => filters[value])], ...boxes(report));
    if (translated.value) {
      lines.push(["ports", say(report.ports, ports)]);
      lines.push(["hairpin", say(report.hairpinning, (value) => hairpins[value])]);
      lines.push(["TCP", say(report.tcpMapping, (value) => mappings[value])]);
      if (report.lifetime.known) lines.push(["idle binding", say(report.lifetime, lifetime)]);
    }
    lines.push([
      "rewriting",
      say(report.rewritten, (value) => (value ? "addresses are rewritten in packets" : "none")),
    ]);
    lines.push(["datagrams", lengths(report)]);
  }
  return [`${places[report.family]} over UDP`, ...lines.map(([name, words]) => `  ${name.padEnd(13)}${words}`)];
}

export function describeStream({ target, reached }: StreamResult): string {
  const at = `${wayOf(target)} to ${serverOf(target)}`;
  if (reached === undefined) return `${at}: no answer`;
  const problem = reached.certificateProblem;
  return `${at}: answers in ${Math.round(reached.ms)} ms${problem === undefined ? "" : `; certificate: ${problem}`}`;
}

function sayCalls({ calls, inside, udp, relay }: Verdict): string {
  if (calls === "no") return udp ? "Most calls will not work from here." : "Calls will not work from here.";
  if (calls === "direct") {
    const isRefused = relay === "refuses" || relay === "broken";
    if (inside && !isRefused) return "Calls will work from here inside this network; no server outside it was asked.";
    return isRefused
      ? "Most calls will work from here, directly; those that need the relay will not."
      : "Calls will work from here, most of them directly.";
  }
  return relay === "works"
    ? "Calls will work from here through the relay."
    : "Calls will work from here through the relay, if its credentials are good.";
}

function sayQuality({ quality }: Verdict): string[] {
  if (quality === undefined) return [];
  const { level, over, delay, jitter, loss } = quality;
  const figures = `${Math.round(delay)} ms one way, jitter ${Math.round(jitter)} ms, loss ${percent(loss)}`;
  return [`Speech through the relay over ${over} will be ${level === "good" ? "good" : "bad"}: ${figures}.`];
}

export function describeVerdict(verdict: Verdict): string[] {
  const { works, fails, change } = verdict;
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
  return [
    sayCalls(verdict),
    ...sayQuality(verdict),
    ...part("Works:", works),
    ...part("Does not work:", fails),
    ...part("To change:", change),
  ];
}

/** Addresses as text, for JSON. */
export function plainValues(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("w3" in value)) return value;
  const address = value as Readonly<Address>;
  return address.port === 0 ? formatIp(address) : formatAddress(address);
}
