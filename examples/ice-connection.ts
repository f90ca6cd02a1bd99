/**
 * Connects two programs through the NATs between them. Each prints a line for the other, and reads the other's:
 *
 *   node ice-connection.ts turn:turn.example.org USERNAME CREDENTIAL
 */
import { createInterface } from "node:readline/promises";
import { formatAddress, IceConnection } from "postern/ice-connection";

const [urls, username = "", credential = ""] = process.argv.slice(2);
const iceServers = urls === undefined ? [] : [{ urls, username, credential }];
const interfaces = process.env.ICE_INTERFACES?.split(",");
await using connection = await IceConnection.open({ iceServers, ...(interfaces && { interfaces }) });
connection.onData = (data) => console.log(`peer: ${Buffer.from(data)}`);
connection.onEvent = (event) => {
  if (event.type === "selected") console.log(`${event.path.kind}, because: ${event.reason.why}`);
};

console.log(JSON.stringify(await connection.localDescription()));
for (const why of connection.report.relayFailures) console.error(why);
const lines = createInterface({ input: process.stdin });
connection.setRemoteDescription(JSON.parse(await lines.question("")));
const path = await connection.connected();
console.log(`connected to ${formatAddress(path.remote.address)}`);
for await (const line of lines) connection.send(Buffer.from(line));
