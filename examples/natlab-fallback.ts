/**
 * A strict office in memory: no UDP, only port 443, and SIP is looked for in every stream. Which way gets a call out?
 *
 *   node natlab-fallback.ts
 */
import {
  allOf,
  type ByteStream,
  inspecting,
  natBehavior,
  onlyPorts,
  parseIp,
  resetting,
  tlsClient,
  tlsServer,
  World,
} from "postern/natlab";

const encode = (text: string) => new TextEncoder().encode(text);
const [request, answer] = [
  encode("OPTIONS sip:example.org SIP/2.0\r\n\r\n"),
  encode("SIP/2.0 200 OK\r\n\r\n"),
] as const;
const world = new World({ seed: 1 });
const internet = world.link("internet", { delay: 20 });
const office = world.link("office", { delay: 1 });
const firewall = allOf(onlyPorts({ tcp: [443] }), resetting(inspecting("stun", "sip", "rtp")));
world
  .gateway("firewall", { nat: natBehavior(), firewall })
  .outside(internet, "203.0.113.1")
  .inside(office, "10.0.0.1/24");
const alice = world.host("alice").attach(office, "10.0.0.2");

// The server answers on UDP 5060, on TCP 443 of one address, and on TLS 443 of another.
const server = world.host("server").attach(internet, "198.51.100.1", "198.51.100.2");
const answering = (stream: ByteStream) => (stream.onData = () => stream.write(answer));
const datagrams = server.socket({ port: 5060 });
datagrams.onMessage = (_, from) => datagrams.send(answer, from);
server.listen({ port: 443 }, answering);
server.listen({ address: "198.51.100.2", port: 443 }, (connection) => answering(tlsServer(connection)));

const socket = alice.socket();
socket.onMessage = () => console.log("UDP: answered");
socket.send(request, datagrams.address);
world.advance(2000);
console.log(`UDP: nothing, ${world.counts.dropped.get("firewall")} packet dropped`);

const ask = (name: string, stream: ByteStream) => {
  const began = world.now;
  stream.onData = () => console.log(`${name}: answered after ${world.now - began} ms`);
  stream.onClose = (reason) => console.log(`${name}: ${reason} after ${world.now - began} ms`);
  stream.write(request);
  world.advance(2000);
};
ask("TCP", alice.connect(parseIp("198.51.100.1", 443)!));
ask("TLS", tlsClient(alice.connect(parseIp("198.51.100.2", 443)!), { serverName: "sip.example.org" }));
