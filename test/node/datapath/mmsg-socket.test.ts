/** How many datagrams a socket is asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MmsgSocket } from "../../../src/node/datapath/mmsg-socket.ts";
import { Recorder } from "./compliance.ts";

/** Looks at a socket of which so many datagrams come between two looks, and says what each look asked for and was given. */
function looks(
  socket: MmsgSocket,
  count: number,
  waiting: number,
  between: number,
): { asked: number; given: number }[] {
  let left = waiting;
  return Array.from({ length: count }, () => {
    left += between;
    const asked = socket.want;
    const given = Math.min(asked, left);
    left -= given;
    socket.adapt(asked, given);
    return { asked, given };
  });
}

function socket(): MmsgSocket {
  return new MmsgSocket(0, 4, new Recorder(), "relay");
}

test("what waits in a socket is caught up with in few looks, however seldom it is looked at", () => {
  const given = looks(socket(), 12, 150, 1).map((look) => look.given);
  assert.ok(given.reduce((sum, n) => sum + n) > 150, given.join());
});

test("and again, after it had one datagram at a time for long", () => {
  const one = socket();
  looks(one, 100, 0, 1);
  const given = looks(one, 20, 150, 1).map((look) => look.given);
  assert.ok(given.reduce((sum, n) => sum + n) > 150, given.join());
});

test("of datagrams that come evenly spaced it is seldom asked for more than there are", () => {
  const one = socket();
  for (const between of [1, 3]) {
    const vain = looks(one, 900, 0, between).filter(({ asked, given }) => given < asked);
    assert.ok(vain.length <= 101, `${vain.length} of 900`);
  }
});
