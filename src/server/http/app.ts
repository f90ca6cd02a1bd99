/**
 * What Postern says over HTTP: whether it is well, what it counts, and, to who holds the token, fresh credentials for an
 * application's users. Nothing here changes anything.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Registry } from "@prometheus-io/client";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Secret } from "../../node/secret.ts";
import type { ShardHealth, TurnService } from "../../node/turn-service.ts";
import type { SipView } from "../services/sip/sip-service.ts";
import { isUser } from "../time-limited-credentials.ts";

/** What an application passes on to a browser. */
export interface IssuedCredentials {
  readonly username: string;
  readonly credential: string;
  /** Seconds until `username` expires. */
  readonly ttl: number;
  readonly urls: readonly string[];
}

export interface HttpAppOptions {
  /** What `/credentials` asks for as `Authorization: Bearer …`. */
  readonly token: () => Secret;
  readonly turn: Pick<TurnService, "stats" | "shards" | "refresh">;
  readonly isDraining: () => boolean;
  readonly version: string;
  /** Credentials for this user, for `ttl` seconds or the default; undefined where there is no shared secret. */
  readonly issue: (user: string | undefined, ttl: number | undefined) => IssuedCredentials | undefined;
  readonly maxTtl: number;
  /** Undefined where SIP is off. */
  readonly sip?: SipView | undefined;
  /** Where other machines reach the port, metrics are not for everybody. */
  readonly guardMetrics: boolean;
}

/** What is asked for wrongly, per minute, before the endpoint answers 429: a token of 32 bytes is not guessed anyway. */
const MAX_FAILURES_PER_MINUTE = 60;
const MAX_BODY_BYTES = 4096;

const limitBody = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: (c) => c.json({ error: `The body must be at most ${MAX_BODY_BYTES} bytes.` }, 413),
});

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function isToken(header: string | undefined, token: Secret): boolean {
  const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token.reveal()));
}

/** Counts failures in windows of a minute. */
class Throttle {
  #window = 0;
  #failures = 0;

  get isShut(): boolean {
    return this.#window === minute() && this.#failures >= MAX_FAILURES_PER_MINUTE;
  }

  count(): void {
    if (this.#window !== minute()) {
      this.#window = minute();
      this.#failures = 0;
    }
    this.#failures++;
  }
}

function minute(): number {
  return Math.floor(Date.now() / 60_000);
}

interface Wish {
  readonly user: string | undefined;
  readonly ttl: number | undefined;
}

/** What was asked for, from the query or a JSON body; a sentence when it is wrong. */
async function readWish(c: Context, maxTtl: number): Promise<Wish | string> {
  let given: Record<string, unknown> = c.req.query();
  if (c.req.method === "POST" && (c.req.header("content-type") ?? "").includes("json")) {
    const body: unknown = await c.req.json().catch(() => undefined);
    if (typeof body !== "object" || body === null || Array.isArray(body)) return "The body must be a JSON object.";
    given = body as Record<string, unknown>;
  }
  const { user, ttl, ...unknown } = given;
  const [other] = Object.keys(unknown);
  if (other !== undefined) return `There must be no \`${other}\`: what is known are \`user\` and \`ttl\`.`;
  if (user !== undefined && (typeof user !== "string" || !isUser(user))) {
    return "`user` must be 1 to 128 printable characters without a colon.";
  }
  const seconds = ttl === undefined ? undefined : Number(ttl);
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 1 && seconds <= maxTtl)) {
    return `\`ttl\` must be whole seconds from 1 to ${maxTtl}.`;
  }
  return { user: user as string | undefined, ttl: seconds };
}

/** How many workers there are, how many of them serve, and what they do not listen on; nothing where there are none. */
function shardsOf(shards: readonly ShardHealth[]) {
  if (shards.length === 0) return {};
  const lostListeners = shards.reduce((sum, one) => sum + one.lostListeners, 0);
  return { shards: shards.length, up: shards.filter(({ isUp }) => isUp).length, lostListeners };
}

export function createHttpApp(options: HttpAppOptions): Hono {
  const app = new Hono();
  let metrics: Promise<Registry> | undefined;
  const throttle = new Throttle();

  app.use(async (c, next) => {
    await next();
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
  });

  app.get("/healthz", (c) => {
    const draining = options.isDraining();
    const { stats, shards } = options.turn;
    const { allocations } = stats.server;
    const calls = options.sip && { calls: options.sip.callCount };
    const body = {
      status: draining ? "draining" : "ok",
      version: options.version,
      allocations,
      ...calls,
      ...shardsOf(shards),
    };
    return c.json(body, draining ? 503 : 200);
  });

  /** The refusal of a request without the token; undefined when it has it. */
  const refuse = (c: Context): Response | undefined => {
    if (isToken(c.req.header("authorization"), options.token())) return undefined;
    // Only wrong ones: nobody is locked out by what others send.
    if (throttle.isShut) return c.json({ error: "Too many wrong tokens; try again in a minute." }, 429);
    throttle.count();
    c.header("WWW-Authenticate", 'Bearer realm="postern"');
    return c.json({ error: "Send the HTTP token as `Authorization: Bearer …`." }, 401);
  };

  app.get("/metrics", async (c) => {
    const refused = options.guardMetrics ? refuse(c) : undefined;
    if (refused !== undefined) return refused;
    // Whoever is never scraped needs no library for it.
    metrics ??= import("./metrics.ts").then(({ createMetrics }) => createMetrics(options.turn, options.sip));
    const [registry] = await Promise.all([metrics, options.turn.refresh()]);
    return c.body(await registry.metrics(), 200, { "Content-Type": registry.contentType });
  });

  const { sip } = options;
  if (sip !== undefined) {
    app.get(
      "/registrations",
      (c) => refuse(c) ?? c.json({ registrations: sip.registrations(), refused: sip.refusals() }),
    );
    app.get("/calls", (c) => refuse(c) ?? c.json({ calls: sip.calls() }));
    app.get("/calls/ended", (c) => refuse(c) ?? c.json({ calls: sip.endedCalls() }));
  }

  app.on(["GET", "POST"], "/credentials", limitBody, async (c) => {
    const refused = refuse(c);
    if (refused !== undefined) return refused;
    const wish = await readWish(c, options.maxTtl);
    if (typeof wish === "string") return c.json({ error: wish }, 400);
    const issued = options.issue(wish.user, wish.ttl);
    if (issued === undefined)
      return c.json({ error: "No shared secret is configured, so there is nothing to issue." }, 404);
    const { username, credential, ttl, urls } = issued;
    return c.json({ username, credential, ttl, urls, iceServers: [{ urls, username, credential }] });
  });

  const rest =
    sip === undefined ? "SIP is off: there is no sip-domain." : "There are /registrations, /calls and /calls/ended.";
  app.notFound((c) => c.json({ error: `There is /healthz, /metrics and /credentials. ${rest}` }, 404));
  app.onError((_, c) => c.json({ error: "Something failed here; the log says what." }, 500));
  return app;
}
