/**
 * Asks a TURN server for a relayed address, and sends back whatever the peer sends there.
 *
 *   node relay-echo.ts turn:turn.example.org alice wonderland 203.0.113.5:7000
 */
import { formatAddress, TurnAllocation } from "postern/turn-client";

const [url = "", username = "", credential = "", peer = ""] = process.argv.slice(2);
if (peer === "") {
  console.error("Give a TURN server, a user name, a password, and the peer's address and port.");
  process.exit(1);
}
const relay = await TurnAllocation.open({ url, username, credential, signal: AbortSignal.timeout(20_000) });

relay.onData = (data, from) => relay.send(from, data);
relay.onEvent = (event) => {
  // A server that restarts is nothing to worry about: another address replaces the lost one.
  if (event.type === "lost") console.error(event.failure.why);
  if (event.type === "allocated") console.log(`relayed at ${event.allocated.relayed.map(formatAddress).join(" and ")}`);
};
// The server lets nobody in who was not named, and gives those who were a channel of their own.
await relay.bind(peer);
console.log(`relayed at ${relay.relayed.map(formatAddress).join(" and ")}`);

process.once("SIGTERM", () => relay.close());
console.error((await relay.closed).why);
