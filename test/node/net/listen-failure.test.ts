import assert from "node:assert/strict";
import { test } from "node:test";
import { listenFailure } from "../../../src/node/net/listen-failure.ts";
import { at } from "../host-under-test.ts";

test("what the operating system says becomes a code and advice", () => {
  const codes = {
    EADDRINUSE: "address-busy",
    EADDRNOTAVAIL: "address-gone",
    EACCES: "permission-denied",
    EMFILE: "descriptors-exhausted",
    ENFILE: "descriptors-exhausted",
    ENOBUFS: "descriptors-exhausted",
    ENOMEM: "descriptors-exhausted",
    EINVAL: "address-gone",
  };
  for (const [said, code] of Object.entries(codes)) {
    const cause = Object.assign(new Error(`bind ${said}`), { code: said });
    const failure = listenFailure("udp", at("::1", 3478), cause);
    assert.equal(failure.code, code);
    assert.equal(failure.cause, cause);
    assert.match(failure.message, /^Cannot listen on udp \[::1\]:3478\. .+\.$/);
  }
});
