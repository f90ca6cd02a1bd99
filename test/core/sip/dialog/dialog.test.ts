import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Dialog, dialogKeyOf, dialogOfRequest, dialogOfResponse } from "../../../../src/core/sip/dialog/dialog.ts";
import { createRequest, createResponse, type HeaderLine } from "../../../../src/core/sip/message/build.ts";
import { MALFORMED } from "../../../../src/core/sip/message/characters.ts";
import type { SipRequest, SipResponse } from "../../../../src/core/sip/message/message.ts";

const ROUTES: readonly HeaderLine[] = [
  ["Record-Route", "<sip:p2.example.com;lr>, <sip:p1.example.com;lr;x=1>"],
  ["Record-Route", "<sip:p0.example.com;lr>"],
];

function invite(
  more: readonly HeaderLine[] = [["Contact", "<sip:alice@10.0.0.2;ob>"]],
  method = "INVITE",
  cseq = 7,
): SipRequest {
  return createRequest({
    method,
    uri: "sip:bob@example.com",
    headers: [
      ["Via", "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa"],
      ["From", '"Alice" <sip:alice@example.com>;tag=a'],
      ["To", "<sip:bob@example.com>"],
      ["Call-ID", "c"],
      ["CSeq", `${cseq} ${method}`],
      ...more,
    ],
  });
}

function ok(more: readonly HeaderLine[] = [["Contact", "<sip:bob@10.9.9.9:5070>"]], toTag = "b"): SipResponse {
  return createResponse(invite(), 200, { toTag, headers: more });
}

function calleeOf(request: SipRequest): Dialog {
  const dialog = dialogOfRequest(request, "b");
  assert.ok(dialog !== MALFORMED);
  return dialog;
}

suite("dialogs", () => {
  test("RFC 3261 §12.1.2, §12.2.1.1: the caller's request goes to the Contact, by the route in reverse", () => {
    const dialog = dialogOfResponse(invite(), ok([...ROUTES, ["Contact", "<sip:bob@10.9.9.9:5070>"]]));
    const bye = dialog.request("BYE");
    assert.equal(bye.uriText, "sip:bob@10.9.9.9:5070");
    assert.deepEqual(bye.list("route"), [
      "<sip:p0.example.com;lr>",
      "<sip:p1.example.com;lr;x=1>",
      "<sip:p2.example.com;lr>",
    ]);
    assert.deepEqual([bye.fromTag, bye.toTag, bye.callId, bye.cseq.number], ["a", "b", "c", 8]);
    assert.equal(bye.from.displayName, "Alice");
    assert.equal(dialog.request("INVITE").cseq.number, 9);
    assert.equal(dialog.ack(7).cseq.number, 7);
  });

  test("RFC 3261 §12.1.1: the callee's goes by the route as it came", () => {
    const dialog = calleeOf(invite([...ROUTES, ["Contact", "<sip:alice@10.0.0.2;ob>"]]));
    const bye = dialog.request("BYE");
    assert.deepEqual(bye.list("route")[0], "<sip:p2.example.com;lr>");
    assert.equal(bye.list("route").length, 3);
    assert.deepEqual([bye.uriText, bye.fromTag, bye.toTag], ["sip:alice@10.0.0.2;ob", "b", "a"]);
    assert.equal(bye.cseq.number, 1);
  });

  test("RFC 3261 §12.2.1.1: a strict router becomes the Request-URI, and the Contact comes last", () => {
    const routes: HeaderLine = ["Record-Route", "<sip:strict.example.com>, <sip:p1.example.com;lr>"];
    const bye = calleeOf(invite([routes, ["Contact", "<sip:alice@10.0.0.2>"]])).request("BYE");
    assert.equal(bye.uriText, "sip:strict.example.com");
    assert.deepEqual(bye.list("route"), ["<sip:p1.example.com;lr>", "<sip:alice@10.0.0.2>"]);
  });

  test("RFC 3261 §12.2.2: what comes after a later one is out of order, ACK and CANCEL are not asked", () => {
    const dialog = calleeOf(invite());
    const order = (cseq: number, method = "INFO") => dialog.takesInOrder(invite([], method, cseq));
    assert.deepEqual([order(6), order(7), order(8), order(20), order(9)], [false, false, true, true, false]);
    assert.deepEqual([order(7, "ACK"), order(7, "CANCEL"), order(21)], [true, true, true]);
    const caller = dialogOfResponse(invite(), ok());
    assert.equal(caller.takesInOrder(invite([], "BYE", 1)), true, "the first may have any number");
    assert.equal(caller.takesInOrder(invite([], "BYE", 1)), false);
  });

  test("RFC 3261 §13.2.2.4: a 2xx makes the route of an early dialog anew", () => {
    const dialog = dialogOfResponse(invite(), ok([...ROUTES, ["Contact", "<sip:bob@10.9.9.9>"]]));
    dialog.confirm(
      ok([
        ["Record-Route", "<sip:other.example.com;lr>"],
        ["Contact", "<sip:bob@10.1.1.1>"],
      ]),
    );
    const ack = dialog.ack(7);
    assert.deepEqual([ack.uriText, ack.list("route")], ["sip:bob@10.1.1.1", ["<sip:other.example.com;lr>"]]);
  });

  test("RFC 3261 §12.2.1.2: a Contact moves the target, the route stays", () => {
    const dialog = dialogOfResponse(invite(), ok([...ROUTES, ["Contact", "<sip:bob@10.9.9.9>"]]));
    dialog.refreshTarget(
      ok([
        ["Contact", "<sip:bob@10.1.1.1?Subject=x>"],
        ["Record-Route", "<sip:new;lr>"],
      ]),
    );
    assert.equal(dialog.request("BYE").uriText, "sip:bob@10.1.1.1", "without headers, which no Request-URI has");
    assert.equal(dialog.request("BYE").list("route").length, 3);
    dialog.refreshTarget(ok([["Contact", "<tel:123>"]]));
    dialog.refreshTarget(ok([]));
    assert.equal(dialog.remoteTarget, "sip:bob@10.1.1.1");
  });

  test("RFC 3261 §12.1.1: a request that says no place to be reached at begins none", () => {
    assert.equal(dialogOfRequest(invite([]), "b"), MALFORMED);
    assert.equal(dialogOfRequest(invite([["Contact", "<tel:123>"]]), "b"), MALFORMED);
    assert.equal(
      dialogOfRequest(
        invite([
          ["Contact", "<sip:a@b>"],
          ["Record-Route", "what"],
        ]),
        "b",
      ),
      MALFORMED,
    );
  });

  test('RFC 3261 §12.1.2: a response that says none is where the request went; a peer without tags has the tag ""', () => {
    const dialog = dialogOfResponse(invite(), createResponse(invite(), 200, { headers: [["Record-Route", "what"]] }));
    assert.deepEqual([dialog.remoteTag, dialog.request("BYE").uriText], ["", "sip:bob@example.com"]);
    assert.deepEqual(dialog.request("BYE").list("route"), []);
  });

  test("RFC 3261 §12: both sides know the dialog by the same three words", () => {
    const caller = dialogOfResponse(invite(), ok());
    const callee = calleeOf(invite());
    assert.equal(dialogKeyOf(caller.request("BYE")), callee.key);
    assert.equal(dialogKeyOf(callee.request("BYE")), caller.key);
  });
});
