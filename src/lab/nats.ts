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
const ports = { min: 40_000, max: 49_999 };

function postrouting(rules: string): string {
  return `table ip nat { chain post { type nat hook postrouting priority 100; ${rules}; }; }`;
}

/** Everybody is let in to a port once it is open. `from` is where packets to the outside address come from. */
function fullCone(from: string, post = ""): string {
  return `table ip nat {
  map cone { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
  chain pre { type nat hook prerouting priority -100; ${from} meta l4proto udp dnat ip to udp dport map @cone; }
  chain post {
    type nat hook postrouting priority 100;
    ${post}
    oifname "outside" meta l4proto udp update @cone { udp sport : ip saddr . udp sport }
    oifname "outside" masquerade
  }
}
`;
}

const fromOutside = 'iifname "outside"';

const onlyWhomItSentTo = `table ip seen {
  set seen { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
  chain forward {
    type filter hook forward priority -10; policy drop;
    iifname "inside" oifname "outside" meta l4proto udp update @seen { ip daddr . udp sport } accept
    iifname "inside" accept
    iifname "outside" meta l4proto udp ip saddr . udp dport @seen accept
    iifname "outside" meta l4proto udp drop
    ct state established,related accept
  }
}
`;

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
  "full cone": lab("full cone", () => fullCone(fromOutside), { filtering: "endpoint-independent", lifetime: 60_000 }),
  "restricted cone": lab("address-restricted cone", () => fullCone(fromOutside) + onlyWhomItSentTo, {
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
        `oifname "outside" meta l4proto udp snat to ${outside} : jhash ip saddr . udp sport . ip daddr mod 20000 offset ${ports.min}; oifname "outside" masquerade`,
      ),
    {
      mapping: "address-dependent",
      filtering: "address-and-port-dependent",
      ports: { kind: "random" },
      portRange: { min: ports.min, max: ports.min + 19_999 },
    },
  ),
  "hairpin, external source": lab(
    "full cone with hairpinning",
    ({ outside, network }) =>
      fullCone(`ip daddr ${outside}`, `ip saddr ${network} oifname "inside" ct status dnat snat to ${outside}`),
    { filtering: "endpoint-independent", hairpin: "external", lifetime: 60_000 },
  ),
  "hairpin, internal source": lab(
    "full cone with hairpinning that shows the inside address",
    ({ outside }) => fullCone(`ip daddr ${outside}`),
    { filtering: "endpoint-independent", hairpin: "internal", lifetime: 60_000 },
  ),
};
