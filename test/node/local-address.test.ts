import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIp, parseIp } from "../../src/core/base/address.ts";
import { BindingSocket } from "../../src/node/binding-socket.ts";
import { localAddressToward } from "../../src/node/local-address.ts";

/** Which no socket may send to unless it says so: connecting fails, as it does without a route. */
const forbidden = parseIp("255.255.255.255", 3478)!;

test("the address that packets would leave from; undefined where they cannot", async () => {
  const local = await localAddressToward(parseIp("127.0.0.1", 3478)!);
  assert.equal(local && formatIp(local), "127.0.0.1");
  assert.equal(await localAddressToward(forbidden), undefined);
});

test("a socket for Bindings without a way to the server is open, and loses what it is given", async () => {
  using socket = await BindingSocket.open(forbidden);
  assert.equal(socket.send(1), false);
  assert.equal(await BindingSocket.openAnswered(forbidden, AbortSignal.timeout(200)), undefined);
});
