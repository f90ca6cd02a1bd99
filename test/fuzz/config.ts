/** The configuration file: whatever it holds, there are values or complaints that lead to a place in it. */
import assert from "node:assert/strict";
import { decodeUtf8 } from "../../src/core/base/utf8.ts";
import type { OptionName } from "../../src/server/config/config.ts";
import { parseConfig } from "../../src/server/config/file.ts";
import type { Given } from "../../src/server/config/given.ts";
import type { Kind } from "../../src/server/config/kinds.ts";
import { options } from "../../src/server/config/options.ts";
import type { Target } from "./target.ts";

const FILE = "postern.yaml";

/** Kinds whose values are not written back, because they are secret. */
const HIDDEN: readonly OptionName[] = ["sharedSecrets"];

function assertPlace(where: string, text: string): void {
  const match = /^postern\.yaml:(\d+):(\d+)$/.exec(where);
  assert.ok(match, where);
  assert.ok(Number(match[1]) >= 1 && Number(match[1]) <= text.split(/\r\n?|\n/).length + 1, where);
}

/** Judges one value; what is taken is taken again as it is written back. */
function judge({ option, raw }: Given): boolean {
  const kind = options[option].kind as Kind<unknown>;
  const result = kind.type.safeParse(raw);
  if (!result.success) {
    assert.ok(result.error.issues.every(({ message }) => message.length > 0 && message.length < 1000));
    return false;
  }
  if (HIDDEN.includes(option)) return true;
  const written = kind.format(result.data);
  if (written === "") return true;
  assert.deepEqual(
    kind.type.safeParse(written).data,
    result.data,
    `${option} is written as ${JSON.stringify(written)}`,
  );
  return true;
}

const encoder = new TextEncoder();

export const configTarget: Target = {
  name: "config",
  oneIn: 10,
  seeds: [
    "realm: turn.example.org\nudp-port: 3478\n",
    "relay-ports: 49152-65535 # all of them\nrelay-addresses: [192.0.2.1, '2001:db8::1']\n",
    "external-address:\n  - 203.0.113.1/10.0.0.1\n  - 2001:db8::1\n",
    "shared-secrets: [one secret of many letters, sha256:another of many letters]\n",
    "allow-peers: 10.0.0.0/8, fd00::/8\ndeny-peers:\n- 1.1.1.1\npeer-ports: off\n",
    "allocation-lifetime: 10m\nnonce-lifetime: 1h\nbytes-per-second: 12M\ngreeting: false\n",
    "auth: both\nlisten: &a [192.0.2.1]\nlog-level: debug\ntls-cert: |\n  a.pem\n",
    "? {a: b}\n: c\n*a : b\n<<: {x: y}\n!!set {a}\n--- two\n",
  ].map((text) => encoder.encode(text)),
  run(input: Uint8Array): boolean {
    const text = decodeUtf8(input) ?? Buffer.from(input).toString("latin1");
    const { given, problems } = parseConfig(text, FILE);
    for (const { where, sentence } of problems) {
      assertPlace(where, text);
      assert.ok(sentence.length > 0);
    }
    let isTaken = problems.length === 0 && given.length > 0;
    for (const one of given) {
      assertPlace(one.where(), text);
      if (!judge(one)) isTaken = false;
    }
    return isTaken;
  },
  decode: (input) => void parseConfig(Buffer.from(input).toString("latin1"), FILE),
};
