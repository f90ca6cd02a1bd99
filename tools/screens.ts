/**
 * Writes docs/check-screens.md: what `postern check` says behind every NAT and firewall of the lab, as a user sees it.
 * Needs what the lab needs, and openssl. Figures such as milliseconds and ports differ each time; the words do not.
 *
 *   node tools/screens.ts [WORD...]     prints those whose title contains one of the words, and writes nothing
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lab } from "../src/lab/lab.ts";
import { ownFiles } from "../src/lab/namespace.ts";
import { nats } from "../src/lab/nats.ts";
import { Network } from "../src/lab/network.ts";
import { type GatewayDeclaration, internet, serverAddresses } from "../src/lab/topology.ts";
import { makeTestCertificates, type TestCertificates } from "../test/support/test-ca.ts";

interface Screen {
  readonly title: string;
  readonly network: string;
  /** Of the home; none: the host is on the internet itself. */
  readonly gateways: readonly GatewayDeclaration[];
  readonly flags?: readonly string[];
  readonly password?: string;
  readonly serverRuns?: boolean;
}

const root = join(import.meta.dirname, "..");
const postern = [process.execPath, join(root, "src/cli/main.ts")];
const password = "correct horse";
/** Milliseconds: as to a server in the same country. */
const roundTrip = 20;
const proxyPort = 3128;
/** They wait more than they work. */
const atOnce = 2;
const [first] = serverAddresses;
const uris = [`stun:${first}`, `turn:${first}`, `turns:${first}:443`];
const cone: GatewayDeclaration = { nat: "port-restricted cone" };

const behind = "The host is behind";
const screens: readonly Screen[] = [
  { title: "no NAT", network: "The host has a public address, and no firewall.", gateways: [] },
  ...Object.entries(nats).map(([nat, { title }]) => ({
    title: nat,
    network: `${behind} a router with a NAT: ${title}.`,
    gateways: [{ nat: nat as GatewayDeclaration["nat"] }],
  })),
  {
    title: "NAT behind NAT",
    network: `${behind} a router, and that is behind the provider's NAT. Both are port-restricted cones.`,
    gateways: [cone, cone],
  },
  {
    title: "NAT behind NAT, the outer one symmetric",
    network: `${behind} a router, a port-restricted cone, and that is behind the provider's symmetric NAT.`,
    gateways: [cone, { nat: "symmetric, random" }],
  },
  {
    title: "a NAT that forgets",
    network: `${behind} a router whose NAT forgets after 20 s of silence, and the user asks for that.`,
    gateways: [{ ...cone, udpTimeout: 20 }],
    flags: ["--lifetime"],
  },
  {
    title: "addresses rewritten",
    network: `${behind} a router that rewrites addresses inside packets, as SIP ALGs do.`,
    gateways: [{ ...cone, rewritesPayload: true }],
  },
  {
    title: "firewall: UDP blocked",
    network: "The firewall lets no UDP through.",
    gateways: [{ ...cone, firewall: "UDP blocked" }],
  },
  {
    title: "firewall: no VoIP ports",
    network: "The firewall denies the ports of SIP, STUN, TURN and RTP.",
    gateways: [{ ...cone, firewall: "no VoIP ports" }],
  },
  {
    title: "firewall: STUN inspected",
    network: "The firewall looks into UDP, and drops what looks like STUN.",
    gateways: [{ ...cone, firewall: "STUN inspected" }],
  },
  {
    title: "firewall: only 443, inspected",
    network: "The firewall lets out TCP to port 443 alone, and resets what looks like STUN there.",
    gateways: [{ ...cone, firewall: "only 443, inspected" }],
  },
  {
    title: "firewall: only the proxy",
    network: "Nothing gets out but through the company's HTTP proxy, which the user names.",
    gateways: [{ ...cone, firewall: "only the proxy" }],
    flags: ["--proxy", `http://${internet.prefix}.61:${proxyPort}`],
  },
  {
    title: "firewall: only the proxy, not named",
    network: "The same, and the user names no proxy.",
    gateways: [{ ...cone, firewall: "only the proxy" }],
  },
  {
    title: "a wrong password",
    network: `${behind} a symmetric NAT, and the password is wrong.`,
    gateways: [{ nat: "symmetric, random" }],
    password: "wrong",
  },
  { title: "no server", network: "The server does not run.", gateways: [cone], serverRuns: false },
];

/** What the first of two machines shows, which run `postern check --peer`. */
interface PeerScreen {
  readonly title: string;
  readonly network: string;
  /** Of the first one's home, and of the second's. */
  readonly gateways: readonly [GatewayDeclaration, GatewayDeclaration];
}

const symmetric: GatewayDeclaration = { nat: "symmetric, random" };
const peers: readonly PeerScreen[] = [
  { title: "two machines, direct", network: "Each is behind a port-restricted cone.", gateways: [cone, cone] },
  {
    title: "two machines, relayed",
    network: "One is behind a symmetric NAT, the other behind a port-restricted cone.",
    gateways: [symmetric, cone],
  },
];

async function serve(lab: Lab, { cert, key }: TestCertificates): Promise<void> {
  const data = ["--data-dir", `${ownFiles}/postern`];
  await lab.network.at("server").run([...postern, "user", "add", "alice", "--password-stdin", ...data], password);
  const program = await lab.postern(
    "server",
    ...["serve", ...data, "--listen", serverAddresses.join(","), "--nat-discovery", "auto"],
    ...["--tls-port", "443", "--tls-cert", cert, "--tls-key", key],
    ...["--allow-peers", internet.network, "--http-listen", "off", "--log-format", "json"],
  );
  await program.says('"serving"');
}

async function take({ gateways, flags = [], ...screen }: Screen, certificates: TestCertificates): Promise<string> {
  const sites = gateways.length === 0 ? [] : [{ name: "home", hosts: ["alice"], gateways }];
  const outside = ["server", "proxy", ...(gateways.length === 0 ? ["alice"] : [])];
  await using lab = new Lab(await Network.build({ outside, sites }, { roundTrip }), { postern, roundTrip });
  if (screen.serverRuns !== false) await serve(lab, certificates);
  await (await lab.agent("proxy")).tell("proxy", { port: proxyPort });
  const env = { POSTERN_CHECK_PASSWORD: screen.password ?? password, NODE_EXTRA_CA_CERTS: certificates.ca };
  const command = [...postern, "check", ...uris, "--user", "alice", ...flags];
  const program = await lab.network.at("alice").start(command, { env });
  await program.ended;
  return program.output.trimEnd();
}

async function takePeer({ gateways }: PeerScreen, certificates: TestCertificates): Promise<string> {
  const sites = gateways.map((gateway, i) => ({
    name: `home ${i + 1}`,
    hosts: [`alice ${i + 1}`],
    gateways: [gateway],
  }));
  await using lab = new Lab(await Network.build({ outside: ["server"], sites }, { roundTrip }), { postern, roundTrip });
  await serve(lab, certificates);
  const start = (host: string, ...code: string[]) => {
    const command = [...postern, "check", ...peerCommand, ...code];
    return lab.network.at(host).start(command, { env: { POSTERN_CHECK_PASSWORD: password } });
  };
  const one = await start("alice 1");
  await one.says("On the other machine");
  const [, code = ""] = /^Code: (\S+)$/m.exec(one.output) ?? [];
  await Promise.all([one.ended, (await start("alice 2", code)).ended]);
  return one.output.trimEnd();
}

const peerCommand = [`turn:${first}`, "--user", "alice", "--peer"];

function formatPeer({ title, network }: PeerScreen, output: string): string {
  return `## ${title}\n\n${network}\n\n\`\`\`\n$ postern check ${peerCommand.join(" ")}\n${output}\n\`\`\`\n`;
}

function format({ title, network, flags = [] }: Screen, output: string): string {
  const command = ["postern check", ...uris, "--user alice", ...flags].join(" ");
  return `## ${title}\n\n${network}\n\n\`\`\`\n$ ${command}\n${output}\n\`\`\`\n`;
}

const head = `# What postern check says, network by network

Each screen was taken behind a NAT or firewall of the [lab](lab.md), by \`node tools/screens.ts\` as root: real \`postern serve\`
and \`postern check\` processes in Linux network namespaces. The server has the two addresses that NAT discovery needs
(\`nat-discovery: auto\`), a certificate that the host trusts, and TLS on port 443. A packet and its answer take ${roundTrip} ms.
The password was asked for, which is not shown. What the words mean: [nat-discovery.md](nat-discovery.md); what
to do about it: [why-did-my-call-fail.md](why-did-my-call-fail.md).
`;

const words = process.argv.slice(2);
const isChosen = ({ title }: { title: string }): boolean =>
  words.length === 0 || words.some((word) => title.includes(word));
const takes = [
  ...screens.filter(isChosen).map((screen) => async (certificates: TestCertificates) => {
    return format(screen, await take(screen, certificates));
  }),
  ...peers.filter(isChosen).map((screen) => async (certificates: TestCertificates) => {
    return formatPeer(screen, await takePeer(screen, certificates));
  }),
];
const directory = await mkdtemp(join(tmpdir(), "postern-screens-"));
try {
  const certificates = await makeTestCertificates(directory, `IP:${first}`);
  const parts: string[] = [];
  for (let i = 0; i < takes.length; i += atOnce) {
    const taken = await Promise.all(takes.slice(i, i + atOnce).map((one) => one(certificates)));
    parts.push(...taken);
    console.log(taken.join("\n"));
  }
  if (words.length === 0) await writeFile(join(root, "docs/check-screens.md"), [head, ...parts].join("\n"));
} finally {
  await rm(directory, { recursive: true });
}
