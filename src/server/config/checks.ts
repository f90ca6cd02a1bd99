/** What must hold between options. */
import { formatAddress } from "../../core/base/address.ts";
import type { Config, OptionName } from "./config.ts";

interface Complaint {
  readonly option: OptionName;
  /** Completes "<option> …". */
  readonly sentence: string;
}

function isLoopback(address: NonNullable<Config["httpListen"]>): boolean {
  if (address.family === 4) return address.w3 >>> 24 === 127;
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 1;
}

/** Whether other machines reach the HTTP port. */
export function isHttpRemote(config: Config): boolean {
  return config.httpListen !== undefined && !isLoopback(config.httpListen);
}

export function checkTogether(config: Config): Complaint[] {
  const complaints: Complaint[] = [];
  const demand = (holds: boolean, option: OptionName, sentence: string) => {
    if (!holds) complaints.push({ option, sentence });
  };
  const { tlsCert, tlsKey, auth, httpListen } = config;
  demand(tlsKey === undefined || tlsCert !== undefined, "tlsKey", "needs tls-cert, the certificate of that key");
  demand(tlsCert === undefined || tlsKey !== undefined, "tlsCert", "needs tls-key, the key of that certificate");
  demand(
    config.allocationLifetime <= config.maxAllocationLifetime,
    "allocationLifetime",
    "must not be longer than max-allocation-lifetime",
  );
  demand(
    config.udpPort !== undefined || config.tcpPort !== undefined || config.tlsPort !== undefined,
    "udpPort",
    "must not be off when tcp-port and tls-port are: nobody could be served",
  );
  demand(
    config.tcpPort === undefined || config.tcpPort !== config.tlsPort,
    "tlsPort",
    "must not be tcp-port: both are TCP ports",
  );
  const { natDiscovery, alternatePort, udpPort, tcpPort, tlsPort } = config;
  demand(
    natDiscovery === "off" || ![udpPort, tcpPort, tlsPort].includes(alternatePort),
    "alternatePort",
    "must not be udp-port, tcp-port or tls-port: nat-discovery needs a second port",
  );
  demand(
    natDiscovery === "off" || udpPort !== undefined,
    "natDiscovery",
    "needs udp-port: most of what it finds out is about UDP",
  );
  demand(
    config.shards === undefined || config.shards === 1 || config.datapath !== "dgram",
    "shards",
    "must be 1 with datapath: dgram, or auto: clients can be divided only with mmsg",
  );
  checkSip(config, demand);
  demand(
    !config.usernameAnonymity || auth === "users",
    "usernameAnonymity",
    "needs auth: users, because a server with a shared secret cannot enumerate its users",
  );
  demand(
    auth !== "users" || config.sharedSecrets.length + config.sharedSecretFiles.length === 0,
    config.sharedSecrets.length > 0 ? "sharedSecrets" : "sharedSecretFiles",
    "has no effect with auth: users; remove one of the two",
  );
  demand(
    !isHttpRemote(config) || config.httpAllowRemote,
    "httpListen",
    `would let other machines reach ${httpListen && formatAddress(httpListen)}; use a loopback address, or set http-allow-remote: true`,
  );
  return complaints;
}

function checkSip(config: Config, demand: (holds: boolean, option: OptionName, sentence: string) => void): void {
  const { sipDomain, sipPort, sipsPort, mediaPorts, relayPorts, sipSites, sipTrunks } = config;
  if (sipDomain === undefined) {
    demand(sipSites.length === 0, "sipSites", "needs sip-domain: SIP is off without it");
    return demand(sipTrunks.length === 0, "sipTrunks", "needs sip-domain: SIP is off without it");
  }
  const { udpPort, tcpPort, tlsPort, natDiscovery, alternatePort, httpListen } = config;
  const others = [udpPort, tcpPort, tlsPort, natDiscovery === "off" ? undefined : alternatePort, httpListen?.port];
  demand(
    sipPort !== undefined || sipsPort !== undefined,
    "sipPort",
    "must not be off when sips-port is: no phone could come",
  );
  for (const [option, port] of [["sipPort", sipPort] as const, ["sipsPort", sipsPort] as const]) {
    demand(port === undefined || !others.includes(port), option, "must be a port that nothing else here has");
  }
  demand(sipPort === undefined || sipPort !== sipsPort, "sipsPort", "must not be sip-port: both are TCP ports");
  const isApart = mediaPorts.max < relayPorts.min || mediaPorts.min > relayPorts.max;
  demand(isApart, "mediaPorts", "must not overlap relay-ports: both are UDP ports of the same addresses");
  demand(mediaPorts.max - mediaPorts.min >= 7, "mediaPorts", "must be eight ports or more: a call takes four");
  const names = new Set(sipTrunks.map(({ name }) => name));
  demand(names.size === sipTrunks.length, "sipTrunks", "must not have two trunks of one name");
  const places = new Set(sipSites.map(({ name }) => name));
  demand(places.size === sipSites.length, "sipSites", "must not have two sites of one name");
}
