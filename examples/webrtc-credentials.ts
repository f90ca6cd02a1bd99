/**
 * The backend of a WebRTC application: fetches fresh iceServers from Postern for every user, and passes them to the page,
 * which gives them to `new RTCPeerConnection({ iceServers })`. The token stays here; the credentials expire.
 *
 *   POSTERN_TOKEN=$(cat ~/.local/share/postern/http-token) node webrtc-credentials.ts alice
 */
interface Issued {
  readonly iceServers: readonly { urls: readonly string[]; username: string; credential: string }[];
  /** Seconds. */
  readonly ttl: number;
}

const base = process.env.POSTERN_URL ?? "http://127.0.0.1:3480";
const token = process.env.POSTERN_TOKEN;

async function iceServersFor(user: string): Promise<Issued> {
  const response = await fetch(new URL("/credentials", base), {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ user, ttl: 3600 }),
    signal: AbortSignal.timeout(2_000),
  });
  if (!response.ok) throw new Error(`Postern answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Issued;
}

const { iceServers, ttl } = await iceServersFor(process.argv[2] ?? "alice");
console.log(JSON.stringify({ iceServers, ttl }, null, 2));

export {};
