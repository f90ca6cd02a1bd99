import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMessage } from "../../../../src/core/sip/message/parse.ts";
import { answer, World } from "./world.ts";

test("RFC 3261 §17.1.1.2: on UDP an INVITE is repeated at doubling intervals, and given up after 32 s", () => {
  const world = new World();
  world.send("INVITE");
  assert.deepEqual(world.summary(), ["INVITE"]);
  const times = [500, 1500, 3500, 7500, 15_500, 31_500];
  assert.deepEqual(world.pass(100_000), [...times.map((ms) => `${ms} INVITE`), "32000 failed timeout"]);
  assert.equal(world.transactions.size, 0);
});

test("RFC 3261 §17.1.1.2: on TCP an INVITE is not repeated, and given up after 32 s all the same", () => {
  const world = new World();
  world.send("INVITE", "tcp");
  assert.deepEqual(world.summary(), ["INVITE"]);
  assert.deepEqual(world.pass(100_000), ["32000 failed timeout"]);
});

test("RFC 3261 §17.1.1.2: a provisional response ends repetition, and the wait has no end then", () => {
  const world = new World();
  const { text } = world.send("INVITE");
  world.pass(600);
  world.drain();
  world.transactions.handleResponse(answer(text, 100), world.now);
  world.transactions.handleResponse(answer(text, 180), world.now);
  assert.deepEqual(world.summary(), ["response 100", "response 180"]);
  assert.deepEqual(world.pass(3_600_000), []);
  assert.equal(world.transactions.size, 1);
});

test("RFC 3261 §17.1.1.3: the ACK for a refusal has the INVITE's URI, Via, Route and From, and the response's To", () => {
  const world = new World();
  const { text } = world.send("INVITE");
  world.drain();
  world.transactions.handleResponse(answer(text, 486, "busy"), world.now);
  const [ack] = world.drain();
  assert.ok(ack?.kind === "send");
  assert.equal(ack.by, undefined);
  const parsed = parseMessage(ack.text);
  assert.ok(parsed.kind === "request");
  const sent = parseMessage(text);
  assert.ok(sent.kind === "request");
  assert.equal(parsed.startLine, "ACK sip:bob@example.org SIP/2.0");
  assert.deepEqual(parsed.list("via"), sent.list("via").slice(0, 1));
  assert.deepEqual(parsed.list("route"), ["<sip:proxy.example.org;lr>"]);
  assert.equal(parsed.fromTag, "f");
  assert.equal(parsed.toTag, "busy");
  assert.deepEqual(parsed.cseq, { number: 1, method: "ACK" });
  assert.equal(parsed.callId, sent.callId);
});

test("RFC 3261 §17.1.1.2: a refusal that is repeated is acknowledged again for 32 s, and told once", () => {
  const world = new World();
  const { text } = world.send("INVITE");
  world.drain();
  world.transactions.handleResponse(answer(text, 486), world.now);
  assert.deepEqual(world.summary(), ["ACK", "response 486"]);
  world.pass(31_000);
  world.transactions.handleResponse(answer(text, 486), world.now);
  assert.deepEqual(world.summary(), ["ACK"]);
  assert.deepEqual(world.pass(2_000), []);
  assert.equal(world.transactions.handleResponse(answer(text, 486), world.now), false);
});

test("on TCP a refused INVITE is over at once", () => {
  const world = new World();
  const { text } = world.send("INVITE", "tcp");
  world.drain();
  world.transactions.handleResponse(answer(text, 486), world.now);
  assert.deepEqual(world.summary(), ["ACK", "response 486"]);
  world.pass(0);
  assert.equal(world.transactions.size, 0);
});

test("RFC 6026 §7.2: every 2xx goes up, for 32 s after the first, and refusals that come after it do not", () => {
  const world = new World();
  const { text } = world.send("INVITE");
  world.drain();
  for (const [status, tag] of [
    [200, "a"],
    [200, "a"],
    [200, "b"],
    [180, "c"],
    [486, "d"],
  ] as const) {
    world.transactions.handleResponse(answer(text, status, tag), world.now);
  }
  assert.deepEqual(world.summary(), ["response 200", "response 200", "response 200"]);
  world.pass(31_999);
  assert.equal(world.transactions.handleResponse(answer(text, 200), world.now), true);
  world.pass(1);
  assert.equal(world.transactions.handleResponse(answer(text, 200), world.now), false);
});

test("RFC 3261 §17.1.2.2: other requests are repeated up to every 4 s, after a provisional response every 4 s", () => {
  const world = new World();
  const { text } = world.send("REGISTER");
  assert.deepEqual(world.summary(), ["REGISTER"]);
  const times = [500, 1500, 3500, 7500, 11_500];
  assert.deepEqual(
    world.pass(12_000),
    times.map((ms) => `${ms} REGISTER`),
  );
  const other = new World();
  const { text: early } = other.send("REGISTER");
  other.transactions.handleResponse(answer(early, 100), other.now);
  other.drain();
  assert.deepEqual(other.pass(9_000), ["500 REGISTER", "4500 REGISTER", "8500 REGISTER"]);
  assert.deepEqual(world.pass(30_000).at(-1), "20000 failed timeout");
  assert.equal(world.transactions.handleResponse(answer(text, 200), world.now), false);
});

test("RFC 3261 §17.1.2.2: the final response is told once, and its repetitions are absorbed for 5 s", () => {
  const world = new World();
  const { text } = world.send("REGISTER");
  world.drain();
  world.transactions.handleResponse(answer(text, 200), world.now);
  world.transactions.handleResponse(answer(text, 200), world.now);
  assert.deepEqual(world.summary(), ["response 200"]);
  world.pass(4_999);
  assert.equal(world.transactions.size, 1);
  world.pass(1);
  assert.equal(world.transactions.size, 0);
  const quick = world.send("REGISTER", "tcp");
  world.transactions.handleResponse(answer(quick.text, 200), world.now);
  world.pass(0);
  assert.equal(world.transactions.size, 0, "nothing is repeated on TCP");
});

test("RFC 3261 §17.1.3: a response is its transaction's by branch and method", () => {
  const world = new World();
  const { text } = world.send("INVITE");
  world.drain();
  assert.equal(
    world.transactions.handleResponse(answer(text.replace(/branch=z9hG4bK./, "branch=z9hG4bKx"), 200), world.now),
    false,
  );
  assert.equal(world.transactions.handleResponse(answer(text.replace("1 INVITE", "1 BYE"), 200), world.now), false);
  assert.deepEqual(world.drain(), []);
});

test("RFC 3261 §9.1: a CANCEL waits for a provisional response, and has the INVITE's Via alone", () => {
  const world = new World();
  const invite = world.send("INVITE");
  world.drain();
  world.transactions.cancel(invite, world.now);
  world.transactions.cancel(invite, world.now);
  assert.deepEqual(world.summary(), []);
  world.transactions.handleResponse(answer(invite.text, 180), world.now);
  const [cancel, response, ...more] = world.drain();
  assert.ok(cancel?.kind === "send" && response?.kind === "response");
  assert.deepEqual(more, []);
  const parsed = parseMessage(cancel.text);
  assert.ok(parsed.kind === "request");
  assert.equal(parsed.startLine, "CANCEL sip:bob@example.org SIP/2.0");
  assert.deepEqual(parsed.list("via"), [invite.request.list("via")[0]]);
  assert.deepEqual(parsed.list("route"), ["<sip:proxy.example.org;lr>"]);
  assert.equal(parsed.toTag, undefined);
  assert.deepEqual(parsed.cseq, { number: 1, method: "CANCEL" });
  world.transactions.handleResponse(answer(cancel.text, 200), world.now);
  world.transactions.handleResponse(answer(invite.text, 487), world.now);
  assert.deepEqual(world.summary(), ["response 200", "ACK", "response 487"]);
});

test("RFC 3261 §9.1: after a final response nothing is cancelled; an INVITE that is never answered then ends in 32 s", () => {
  const world = new World();
  const answered = world.send("INVITE");
  world.transactions.handleResponse(answer(answered.text, 200), world.now);
  world.drain();
  world.transactions.cancel(answered, world.now);
  assert.deepEqual(world.summary(), []);
  const silent = world.send("INVITE");
  world.transactions.handleResponse(answer(silent.text, 180), world.now);
  world.drain();
  world.transactions.cancel(silent, world.now);
  assert.ok(world.pass(32_000).includes("32000 failed timeout"));
});

test("a request that cannot be sent fails at once, unless it was answered", () => {
  const world = new World();
  const one = world.send("INVITE", "tls");
  world.drain();
  world.transactions.handleSendFailed(one);
  world.transactions.handleSendFailed(one);
  assert.deepEqual(world.summary(), ["failed transport"]);
  assert.equal(world.transactions.size, 0);
  const other = world.send("BYE", "tcp");
  world.transactions.handleResponse(answer(other.text, 200), world.now);
  world.drain();
  world.transactions.handleSendFailed(other);
  assert.deepEqual(world.summary(), []);
});

test("RFC 3581 §3: a request asks for answers to where it comes from, and no two have one branch", () => {
  const world = new World();
  const branches = [1, 2].map(() => {
    const { request, owner } = world.send("OPTIONS");
    assert.equal(owner, "me");
    assert.ok(request.via.params.has("rport"));
    assert.equal(request.via.host, "192.0.2.1");
    return request.via.params.get("branch");
  });
  assert.ok(branches.every((branch) => branch?.startsWith("z9hG4bK")));
  assert.notEqual(branches[0], branches[1]);
});
