import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blankAddress, formatAddress } from "../../../../src/core/base/address.ts";
import { Attribute, MessageClass, Method } from "../../../../src/core/stun/registry.ts";
import { StunView } from "../../../../src/core/stun/view.ts";
import { messageId, StunWriter } from "../../../../src/core/stun/writer.ts";
import type { ClientPath } from "../../../../src/core/turn/server/client-path.ts";
import type { DiscoverySocket, DiscoverySquare } from "../../../../src/core/turn/server/discovery-sites.ts";
import { hex } from "../../../support/bytes.ts";
import { ip, World } from "../../../support/turn-world.ts";

const id = messageId(hex("000102030405060708090a0b"));
const ports = [3478, 3479] as const;

/** Listeners 11 and 12 at the first address, 21 and 22 at the second; what is told is not what is bound. */
function square(first: string, second: string, outside = [first, second]): DiscoverySquare {
  const corner = (bound: string, i: number, j: number): DiscoverySocket => ({
    listener: (i + 1) * 10 + j + 1,
    bound: ip(bound, ports[j]),
    advertised: ip(outside[i]!, ports[j]),
  });
  const row = (bound: string, i: number) => [corner(bound, i, 0), corner(bound, i, 1)] as const;
  return [row(first, 0), row(second, 1)];
}

const squares = {
  IPv4: square("10.0.0.1", "10.0.0.2", ["5.5.5.1", "5.5.5.2"]),
  IPv6: square("2a05::1", "2a05::2"),
};

function discovering(config = {}): World {
  const world = new World(config);
  world.server.handleDiscoverySquares([squares.IPv4], world.now);
  return world;
}

function pathTo(listener: number, remote = ip("8.8.4.4", 40_000)): ClientPath {
  return { transport: "udp", listener, local: ip("10.0.0.1", 3478), remote, connection: 0 };
}

type Build = (writer: StunWriter) => unknown;

function binding(build: Build = () => {}): Uint8Array {
  const writer = new StunWriter().begin(Method.Binding, MessageClass.Request, id);
  build(writer);
  return writer.finish();
}

const change = (flags: number): Build => {
  return (writer) => writer.u32(Attribute.ChangeRequest, flags);
};
const responsePort = (port: number): Build => {
  return (writer) => writer.u32(Attribute.ResponsePort, port * 0x10000);
};
const padding = (length: number): Build => {
  return (writer) => writer.bytes(Attribute.Padding, new Uint8Array(length));
};

interface Answered {
  readonly listener: number;
  readonly local: string;
  readonly to: string;
  readonly code: number;
  readonly view: StunView;
  plain(type: number): string | undefined;
}

function ask(world: World, request: Uint8Array, path: ClientPath): Answered | undefined {
  world.takeOutputs();
  world.receive(request, path);
  const sends = world.takeSends();
  assert.ok(sends.length <= 1);
  const [send] = sends;
  if (send === undefined) return undefined;
  const view = new StunView();
  assert.equal(view.decode(send.data), undefined);
  const error = view.bytes(Attribute.ErrorCode);
  return {
    listener: send.to.listener,
    local: formatAddress(send.to.local),
    to: formatAddress(send.to.remote),
    code: error === undefined ? 0 : error[2]! * 100 + error[3]!,
    view,
    plain: (type) => {
      const address = blankAddress();
      return view.has(type) && view.addressAt(view.indexOf(type), address) ? formatAddress(address) : undefined;
    },
  };
}

describe("a server that discovers", () => {
  // RFC 5780 §6.1, table 1.
  const table = [
    { flags: 0, from: [11, 12, 21, 22] },
    { flags: 4, from: [21, 22, 11, 12] },
    { flags: 2, from: [12, 11, 22, 21] },
    { flags: 6, from: [22, 21, 12, 11] },
  ];
  const advertised = new Map(squares.IPv4.flat().map((one) => [one.listener, formatAddress(one.advertised)]));
  for (const { flags, from } of table) {
    test(`RFC 5780 §6.1: CHANGE-REQUEST ${flags} answers from where it says, and names the other address`, () => {
      const world = discovering();
      for (const [i, listener] of [11, 12, 21, 22].entries()) {
        const answer = ask(world, binding(change(flags)), pathTo(listener));
        assert.ok(answer);
        assert.equal(answer.listener, from[i]);
        assert.equal(answer.to, "8.8.4.4:40000");
        assert.equal(answer.plain(Attribute.ResponseOrigin), advertised.get(from[i]!));
        assert.equal(answer.plain(Attribute.OtherAddress), advertised.get([22, 21, 12, 11][i]!));
        assert.equal(answer.plain(Attribute.MappedAddress), "8.8.4.4:40000");
        assert.ok(answer.view.has(Attribute.XorMappedAddress));
      }
    });
  }

  test("RFC 3489 §11.2: a classic client is told by SOURCE-ADDRESS and CHANGED-ADDRESS", () => {
    const classic = hex("0001 0008 000102030405060708090a0b0c0d0e0f 0003 0004 00000006");
    const answer = ask(discovering(), classic, pathTo(11));
    assert.equal(answer?.listener, 22);
    assert.equal(answer?.plain(Attribute.SourceAddress), "5.5.5.2:3479");
    assert.equal(answer?.plain(Attribute.ChangedAddress), "5.5.5.2:3479");
    assert.deepEqual([answer?.view.has(Attribute.XorMappedAddress), answer?.view.attributeCount], [false, 3]);
  });

  test("RFC 5780 §7.5: RESPONSE-PORT sends the answer to another port of the same address, which stays who asked", () => {
    const answer = ask(discovering(), binding(responsePort(50_000)), pathTo(11));
    assert.equal(answer?.to, "8.8.4.4:50000");
    assert.equal(answer?.plain(Attribute.MappedAddress), "8.8.4.4:40000");
    const short = binding((writer) => writer.bytes(Attribute.ResponsePort, hex("c350")));
    assert.equal(ask(discovering(), short, pathTo(11))?.to, "8.8.4.4:50000");
  });

  test("RFC 5780 §7.5: no answer is aimed at a service's port", () => {
    for (const port of [0, 1, 53, 1023]) {
      const answer = ask(discovering(), binding(responsePort(port)), pathTo(11));
      assert.deepEqual([answer?.code, answer?.to], [400, "8.8.4.4:40000"]);
    }
    assert.equal(ask(discovering(), binding(responsePort(1024)), pathTo(11))?.to, "8.8.4.4:1024");
  });

  test("RFC 5780 §6.1: PADDING makes the answer as long as the request, up to a bound, and with zeros", () => {
    // The answer's other attributes: two mapped addresses, the origin and the other address.
    const others = 4 * 12;
    for (const [asked, given] of [
      [1500, 1500 - others],
      [4, 0],
      [9000, 2048],
    ] as const) {
      const plain = binding(padding(asked));
      const answer = ask(discovering(), plain, pathTo(11));
      assert.deepEqual(answer?.view.bytes(Attribute.Padding), new Uint8Array(given));
      if (asked === 1500) assert.equal(answer?.view.data.length, plain.length);
      const sealed = binding((writer) => [padding(asked)(writer), writer.fingerprint()]);
      const other = ask(discovering(), sealed, pathTo(11));
      assert.deepEqual(other?.view.bytes(Attribute.Padding), new Uint8Array(given));
      if (asked === 1500) assert.equal(other?.view.data.length, sealed.length);
    }
    const both = (writer: StunWriter) => [padding(1500)(writer), responsePort(50_000)(writer)];
    assert.equal(ask(discovering(), binding(both), pathTo(11))?.code, 400, "together they are refused");
  });

  test("malformed wishes are 400", () => {
    const bad: Build[] = [
      (writer) => writer.bytes(Attribute.ChangeRequest, hex("06")),
      (writer) => writer.bytes(Attribute.ResponsePort, hex("c35000")),
      (writer) => writer.bytes(Attribute.ResponsePort, hex("")),
    ];
    for (const build of bad) assert.equal(ask(discovering(), binding(build), pathTo(11))?.code, 400);
  });

  test("over a stream, and through any other listener, the attributes stay unknown", () => {
    const world = discovering();
    const stream = { ...pathTo(11), transport: "tcp", connection: 7 } as const;
    for (const path of [stream, pathTo(1)]) {
      for (const build of [change(6), responsePort(50_000), padding(8)]) {
        assert.equal(ask(world, binding(build), path)?.code, 420);
      }
    }
    assert.equal(ask(world, binding(), stream)?.plain(Attribute.OtherAddress), "5.5.5.2:3479");
    assert.equal(ask(world, binding(), pathTo(1))?.plain(Attribute.OtherAddress), undefined);
    world.server.handleDiscoverySquares([], world.now);
    assert.equal(ask(world, binding(change(6)), pathTo(11))?.code, 420, "the square is gone");
  });

  test("RFC 5780 §9: reflected answers have a budget of their own, plain ones another", () => {
    const world = discovering();
    const count = (build: Build | undefined, remote = ip("8.8.4.4", 40_000)) => {
      let answered = 0;
      for (let i = 0; i < 60; i++) {
        const answer = ask(world, binding(build), pathTo(11, remote));
        assert.ok(answer, "RFC 8489 §14.8: who is refused for now is told so");
        if (answer.code !== 500) answered++;
      }
      return answered;
    };
    assert.equal(count(change(6)), 40);
    assert.equal(count(responsePort(50_000), ip("8.8.4.4", 40_001)), 0, "the port does not matter");
    assert.equal(count(padding(1500)), 0);
    assert.equal(count(change(0)), 60);
    assert.equal(count(undefined), 60);
    assert.equal(count(change(2), ip("8.8.4.5", 1)), 40, "another source has its own");
    world.advance(1);
    assert.equal(count(change(6)), 20);
    const poor = discovering({ budgets: { unauthenticatedPerSecond: 1, requestsPerSecond: 1 } });
    const answers = [1, 2, 3].map(() => ask(poor, binding(change(6)), pathTo(11)) !== undefined);
    assert.deepEqual(answers, [true, true, false], "the budget for strangers holds as well");
  });

  for (const [family, one] of Object.entries(squares)) {
    test(`no answer over ${family} is more than 2.6 times its request on the wire`, (t) => {
      const world = new World();
      world.server.handleDiscoverySquares([one], world.now);
      const remote = family === "IPv4" ? ip("8.8.4.4", 40_000) : ip("2600::4", 40_000);
      const headers = family === "IPv4" ? 28 : 48;
      const classic = hex("0001 0008 000102030405060708090a0b0c0d0e0f 0003 0004 00000006");
      const requests: Record<string, Uint8Array> = { plain: binding(), classic, "change both": binding(change(6)) };
      requests["fingerprint"] = binding((writer) => writer.fingerprint());
      requests["response port"] = binding(responsePort(50_000));
      for (const length of [0, 4, 1500, 2048, 9000]) requests[`padding ${length}`] = binding(padding(length));
      for (const [name, request] of Object.entries(requests)) {
        world.receive(request, pathTo(11, remote));
        const [send] = world.takeSends();
        assert.ok(send, `${name} is answered`);
        const ratio = (send.data.length + headers) / (request.length + headers);
        t.diagnostic(`${name}: ${request.length} bytes, answer ${send.data.length}, ${ratio.toFixed(2)} on the wire`);
        assert.ok(ratio <= 2.6, `${name}: ${ratio}`);
      }
    });
  }
});
