/**
 * What passed where: every host and gateway counts, for each flow, the packets that arrive, before anything is translated
 * or dropped, and those that leave, after.
 */
import type { Namespace } from "./namespace.ts";

export interface Passage {
  readonly direction: "arrived" | "left";
  readonly protocol: "udp" | "tcp";
  readonly source: string;
  readonly destination: string;
  readonly packets: number;
}

const flow = "ip saddr . th sport . ip daddr . th dport . meta l4proto";
const type = "ipv4_addr . inet_service . ipv4_addr . inet_service . inet_proto";

function counted(set: string, hook: string): string {
  return `  set ${set} { type ${type}; flags dynamic; counter; size 65535; }
  chain ${set} { type filter hook ${hook}; meta l4proto { tcp, udp } update @${set} { ${flow} counter }; }
`;
}

/** Before connection tracking, and after source translation. */
export const passageRules: string = `table inet passages {
${counted("arrived", "prerouting priority -400")}${counted("left", "postrouting priority 400")}}
`;

interface CountedSet {
  readonly name: Passage["direction"];
  /** Left out when there are none. */
  readonly elem?: readonly Element[];
}

interface Element {
  readonly elem: {
    readonly val: { readonly concat: readonly (string | number)[] };
    readonly counter: { packets: number };
  };
}

/** What passed since the rules were set, or since `forgetPassages`. */
export async function passagesOf(namespace: Namespace): Promise<Passage[]> {
  const output = await namespace.run(["nft", "-j", "list", "table", "inet", "passages"]);
  const { nftables } = JSON.parse(output) as { nftables: readonly { set?: CountedSet }[] };
  return nftables.flatMap(({ set }) => (set === undefined ? [] : read(set)));
}

export async function forgetPassages(namespace: Namespace): Promise<void> {
  await namespace.nft("flush set inet passages arrived\nflush set inet passages left\n");
}

/** RFC 6335 §6: where a server opens relayed addresses. */
const firstRelayPort = 49_152;

/** What went in and out at the relayed addresses of a server. */
export function relayedPackets(passages: readonly Passage[] = []): number {
  const isRelay = (address: string): boolean => Number(address.split(":")[1]) >= firstRelayPort;
  return passages
    .filter(({ direction, protocol, source, destination }) => {
      return protocol === "udp" && isRelay(direction === "arrived" ? destination : source);
    })
    .reduce((sum, { packets }) => sum + packets, 0);
}

function read({ name, elem = [] }: CountedSet): Passage[] {
  return elem.map(({ elem: { val, counter } }) => {
    const [source, sourcePort, destination, destinationPort, protocol] = val.concat;
    return {
      direction: name,
      protocol: protocol === "tcp" || protocol === 6 ? "tcp" : "udp",
      source: `${source}:${sourcePort}`,
      destination: `${destination}:${destinationPort}`,
      packets: counter.packets,
    };
  });
}
