/**
 * Answers. Error responses carry no reason phrase, and nothing unauthenticated carries SOFTWARE: it would only help a
 * flood (RFC 8489 §16.1.2 leaves both out to the server).
 */
import { encodePasswordAlgorithms } from "../../stun/credentials.ts";
import { Attribute, ErrorCode, MessageClass, PasswordAlgorithmNumber } from "../../stun/registry.ts";
import type { StunView } from "../../stun/view.ts";
import type { StunWriter } from "../../stun/writer.ts";
import { type ClientPath, copyPath } from "./client-path.ts";
import type { ReplyTo } from "./reply-to.ts";
import type { ServerState } from "./state.ts";

/** Begins a success response; `finish` sends it. */
export function success(state: ServerState, to: ReplyTo): StunWriter {
  return state.writer.beginTo(to.method, MessageClass.Success, to.id);
}

/** Seals what `success` or `refuse` began, and queues it. */
export function finish(state: ServerState, to: ReplyTo): void {
  const { writer, config, ports } = state;
  if (config.software !== undefined) writer.text(Attribute.Software, config.software);
  if (to.seal.hash === "sha256") writer.integritySha256(ports.crypto, to.seal.key);
  else writer.integritySha1(ports.crypto, to.seal.key);
  if (to.fingerprint) writer.fingerprint();
  state.outputs.push({ kind: "send", to: to.path, data: writer.finish() });
}

/** Sends a success response that was begun with `success`, and counts it. */
export function finishSuccess(state: ServerState, to: ReplyTo): void {
  state.stats.successes[to.method] = (state.stats.successes[to.method] ?? 0) + 1;
  finish(state, to);
}

/** Refuses an authenticated request. `why` goes to the operator, not to the client. */
export function refuse(
  state: ServerState,
  to: ReplyTo,
  code: ErrorCode,
  why: string,
  extra?: (writer: StunWriter) => void,
): void {
  const writer = state.writer.beginTo(to.method, MessageClass.Error, to.id).errorCode(code);
  extra?.(writer);
  state.countError(code);
  const event = { type: "refused", client: to.path, username: to.username, method: to.method, code, why } as const;
  state.outputs.push({ kind: "event", event });
  finish(state, to);
}

/**
 * Wire bytes of answer and request may stand at most like this, IP and UDP headers counted, while the sender's address
 * is unproven.
 */
const MAX_AMPLIFICATION = 2.6;

/**
 * Sends what was begun in `state.writer` to somebody who has proven nothing: never much larger than what was asked, or
 * not at all. The source's budget is the caller's to take.
 */
export function sendUnproven(state: ServerState, view: StunView, path: ClientPath): boolean {
  const data = state.writer.finish();
  const headers = path.remote.family === 4 ? 28 : 48;
  if (path.transport === "udp" && data.length + headers > MAX_AMPLIFICATION * (view.length + headers)) {
    state.drop("would-amplify");
    return false;
  }
  state.outputs.push({ kind: "send", to: copyPath(path), data });
  return true;
}

/** Refuses without any proof of who asks. */
export function refuseUnproven(state: ServerState, view: StunView, path: ClientPath, code: ErrorCode): void {
  const writer = state.writer.beginAnswer(view, MessageClass.Error).errorCode(code);
  if (code === ErrorCode.Unauthenticated || code === ErrorCode.StaleNonce) {
    // RFC 8489 §9.2.4: the challenge names the realm, a nonce, and the algorithms a key may be derived by.
    writer.text(Attribute.Realm, state.config.realm);
    writer.text(Attribute.Nonce, state.nonces.create(path.remote, state.ports.wallClock.now()));
    writer.bytes(Attribute.PasswordAlgorithms, PASSWORD_ALGORITHMS);
  }
  if (sendUnproven(state, view, path)) state.countError(code);
}

/** SHA-256 first: a client takes the first that it knows (RFC 8489 §9.2.5). */
export const PASSWORD_ALGORITHMS: Uint8Array = encodePasswordAlgorithms([
  PasswordAlgorithmNumber.Sha256,
  PasswordAlgorithmNumber.Md5,
]);
