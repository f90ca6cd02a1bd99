/**
 * The NATs of the lab: as nftables makes them, and what each is in RFC 4787's words, for natlab and for whoever wants to
 * know what a check must find. Devices are `outside` and `inside`.
 */
import { type NatBehavior, natBehavior } from "../natlab/behavior.ts";

/** Where a gateway stands. */
export interface Place {
  readonly outside: string;
  /** The network behind it, `10.0.1.0/24`. */
  readonly network: string;
  /** Seconds that nftables' own tables remember an idle socket; conntrack's are the kernel's to set. */
  readonly udpTimeout?: number | undefined;
}

export type NatName =
  | "port-restricted cone"
  | "port-restricted cone, other ports"
  | "full cone"
  | "restricted cone"
  | "symmetric, random"
  | "symmetric, in sequence"
  | "mapping by address"
  | "hairpin, external source"
  | "hairpin, internal source";

export interface LabNat {
  readonly title: string;
  readonly rules: (place: Place) => string;
  readonly behavior: NatBehavior;
}

const conntrack = {
  parity: false,
  lifetime: 30_000,
  refreshedBy: "both",
  refreshScope: "session",
  hairpin: "none",
} as const satisfies Partial<NatBehavior>;
/** None that Linux or a peer of the tests takes for a socket: nftables keeps a port that is in the range already. */
const ports = { min: 10_000, max: 15_999 };

function postrouting(rules: string): string {
  return `table ip nat { chain post { type nat hook postrouting priority 100; ${rules}; }; }`;
}

/**
 * Everybody is let in to a port once it is open. `from` is where packets to the outside address come from. Chains of type
 * `nat` see the first packet of a flow alone, so others keep open what is used, in either direction.
 */
function fullCone({ outside, udpTimeout = 60 }: Place, from: string, post = ""): string {
  return `table ip nat {
  map cone { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout ${udpTimeout}s; }
  chain pre { type nat hook prerouting priority -100; ${from} meta l4proto udp dnat ip to udp dport map @cone; }
  chain post {
    type nat hook postrouting priority 100;
    ${post}
    oifname "outside" masquerade
  }
  chain outward {
    type filter hook postrouting priority 150;
    ip saddr ${outside} meta l4proto udp ct direction original update @cone { udp sport : ct original ip saddr . ct original proto-src }
    ip saddr ${outside} meta l4proto udp ct direction reply update @cone { udp sport : ct reply ip saddr . ct reply proto-src }
  }
  chain inward {
    type filter hook forward priority 10;
    meta l4proto udp ct status dnat ct direction original update @cone { ct original proto-dst : ip daddr . udp dport }
    meta l4proto udp ct status snat ct direction reply update @cone { ct reply proto-dst : ip daddr . udp dport }
  }
}
`;
}

const fromOutside = 'iifname "outside"';

function onlyWhomItSentTo({ udpTimeout = 60 }: Place): string {
  return `table ip seen {
  set seen { type ipv4_addr . ipv4_addr . inet_service; flags dynamic,timeout; timeout ${udpTimeout}s; }
  chain forward {
    type filter hook forward priority -10; policy drop;
    iifname "inside" oifname "outside" meta l4proto udp update @seen { ip daddr . ip saddr . udp sport } accept
    iifname "inside" accept
    ip saddr . ip daddr . udp dport @seen update @seen { ip saddr . ip daddr . udp dport } accept
    iifname "outside" meta l4proto udp drop
    ct state established,related accept
  }
}
`;
}

const sequence = Array.from({ length: 64 }, (_, i) => `${i} : ${ports.min + i}`).join(", ");

function lab(title: string, rules: LabNat["rules"], departures: Partial<NatBehavior>): LabNat {
  return { title, rules, behavior: natBehavior({ ...conntrack, ...departures }) };
}

export const nats: Readonly<Record<NatName, LabNat>> = {
  "port-restricted cone": lab("port-restricted cone", () => postrouting('oifname "outside" masquerade'), {
    filtering: "address-and-port-dependent",
  }),
  "port-restricted cone, other ports": lab(
    "port-restricted cone that does not keep ports",
    ({ outside }) =>
      postrouting(
        `oifname "outside" meta l4proto udp snat to ${outside}:${ports.min}-${ports.max}; oifname "outside" masquerade`,
      ),
    { filtering: "address-and-port-dependent", ports: { kind: "random" }, portRange: ports },
  ),
  "full cone": lab("full cone", (place) => fullCone(place, fromOutside), {
    filtering: "endpoint-independent",
    lifetime: 60_000,
  }),
  "restricted cone": lab("address-restricted cone", (place) => fullCone(place, fromOutside) + onlyWhomItSentTo(place), {
    filtering: "address-dependent",
    lifetime: 60_000,
  }),
  "symmetric, random": lab("symmetric, random ports", () => postrouting('oifname "outside" masquerade fully-random'), {
    mapping: "address-and-port-dependent",
    filtering: "address-and-port-dependent",
    ports: { kind: "random" },
  }),
  "symmetric, in sequence": lab(
    "symmetric, ports in sequence",
    ({ outside }) =>
      postrouting(
        `oifname "outside" meta l4proto udp snat to ${outside} : numgen inc mod 64 map { ${sequence} }; oifname "outside" masquerade`,
      ),
    {
      mapping: "address-and-port-dependent",
      filtering: "address-and-port-dependent",
      ports: { kind: "sequential", step: 1 },
      portRange: { min: ports.min, max: ports.min + 63 },
    },
  ),
  "mapping by address": lab(
    "symmetric, one port for each address",
    ({ outside }) =>
      postrouting(
        `oifname "outside" meta l4proto udp snat to ${outside} : jhash ip saddr . udp sport . ip daddr mod 65536 | 0x80; oifname "outside" masquerade`,
      ),
    {
      mapping: "address-dependent",
      filtering: "address-and-port-dependent",
      ports: { kind: "random" },
      // The hash is taken for a port with its bytes exchanged.
      portRange: { min: 0x8000, max: 0xffff },
    },
  ),
  "hairpin, external source": lab(
    "full cone with hairpinning",
    (place) =>
      fullCone(
        place,
        `ip daddr ${place.outside}`,
        `ip saddr ${place.network} oifname "inside" ct status dnat snat to ${place.outside}`,
      ),
    { filtering: "endpoint-independent", hairpin: "external", lifetime: 60_000 },
  ),
  "hairpin, internal source": lab(
    "full cone with hairpinning that shows the inside address",
    (place) => fullCone(place, `ip daddr ${place.outside}`),
    { filtering: "endpoint-independent", hairpin: "internal", lifetime: 60_000 },
  ),
};
