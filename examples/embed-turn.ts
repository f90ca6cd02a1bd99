/**
 * A TURN server inside your own program: your application hands out credentials without asking anybody.
 *
 *   node embed-turn.ts
 */
import { createServer } from "node:http";
import { startServer } from "postern/server";

const port = Number(process.env.PORT ?? 8080);
const turn = await startServer({
  dataDir: process.env.TURN_DATA ?? "./turn-data",
  udpPort: process.env.TURN_PORT ?? 3478,
  tcpPort: process.env.TURN_PORT ?? 3478,
  tlsPort: "off",
  httpListen: "off",
});

const web = createServer((_request, response) => {
  // Your application knows who asks: its name for the user shows up in quotas and logs.
  const made = turn.makeCredentials("visitor", 3600);
  const iceServers = [{ urls: turn.iceUris, username: made?.username, credential: made?.credential }];
  response.setHeader("Content-Type", "application/json").end(JSON.stringify({ iceServers }));
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/ gives iceServers`));

process.once("SIGTERM", async () => {
  web.close();
  await turn.drain(AbortSignal.timeout(5_000)).catch(() => 0);
  await turn.close();
});
