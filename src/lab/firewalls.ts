/** The firewalls of the lab, as nftables makes them: what the box between inside and outside drops. */

export type FirewallName =
  | "inside to outside"
  | "no VoIP ports"
  | "UDP blocked"
  | "only 443, inspected"
  | "STUN inspected"
  | "only the proxy";

function forward(rules: string): string {
  return `table inet firewall { chain forward { type filter hook forward priority 0; ${rules} }; }\n`;
}

const answers = "ct state established,related accept;";

export const firewalls: Readonly<Record<FirewallName, string>> = {
  /** Whatever begins inside, and its answers. */
  "inside to outside": forward(`policy drop; ${answers} iifname "inside" accept;`),
  /** The port numbers of SIP, STUN, TURN and RTP. */
  "no VoIP ports": forward(
    'policy drop; th dport { 3478, 3479, 5060, 5061, 5349, 16384-65535 } iifname "inside" drop; ' +
      `${answers} iifname "inside" accept;`,
  ),
  "UDP blocked": forward(`policy drop; meta l4proto udp drop; ${answers} iifname "inside" accept;`),
  /** Only TCP to port 443, and nothing in it that looks like STUN. */
  "only 443, inspected": forward(
    "policy drop; tcp dport 443 @ih,32,32 0x2112a442 reject with tcp reset; " +
      `${answers} iifname "inside" tcp dport 443 accept;`,
  ),
  /** UDP to any port, but nothing that looks like STUN, or is SIP's answer. */
  "STUN inspected": forward(
    "policy drop; meta l4proto udp @th,96,32 0x2112a442 drop; meta l4proto udp @th,64,56 0x5349502f322e30 drop; " +
      `${answers} iifname "inside" accept;`,
  ),
  /** Nothing but the company's own proxy. */
  "only the proxy": forward(`policy drop; ${answers} iifname "inside" tcp dport 3128 accept;`),
};
