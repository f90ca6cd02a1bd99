import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodeUtf8 } from "../../../src/core/base/utf8.ts";
import { MessageClass, Method } from "../../../src/core/stun/registry.ts";
import { messageId, StunWriter } from "../../../src/core/stun/writer.ts";
import { allOf, type Firewall } from "../../../src/natlab/firewall/firewall.ts";
import { InsideToOutside } from "../../../src/natlab/firewall/inside-to-outside.ts";
import { inspecting } from "../../../src/natlab/firewall/inspection.ts";
import { onlyPorts, withoutPorts, withoutUdp } from "../../../src/natlab/firewall/port-rules.ts";
import { World } from "../../../src/natlab/world.ts";
import { listen } from "../inbox.ts";

/** A host behind a firewall and hosts outside; `family` 4 has public addresses, nothing is translated. */
function lab(firewall: Firewall, family: 4 | 6 = 6) {
  const world = new World();
  const [internet, home] = [world.link("internet"), world.link("home")];
  const six = family === 6;
  const gateway = world
    .gateway("firewall", { firewall })
    .outside(internet, six ? "2001:db8::1" : "192.0.2.1")
    .inside(home, six ? "2001:db8:1::1/64" : "198.51.100.1/24");
  const inside = world
    .host("inside")
    .attach(home, six ? "2001:db8:1::2" : "198.51.100.2")
    .socket({ port: 5000 });
  const server = world.host("server").attach(internet, six ? "2001:db8::2" : "192.0.2.2");
  const stranger = world.host("stranger").attach(internet, six ? "2001:db8::3" : "192.0.2.3");
  return { world, gateway, inside, server, stranger };
}

/** Whether `data` gets from one socket to another. */
function arrives(world: World, from: ReturnType<typeof lab>["inside"], to: typeof from, data: Uint8Array): boolean {
  const heard = listen(world, to);
  from.send(data, to.address);
  world.advance(0);
  return heard.length > 0;
}

const plain = encodeUtf8("plain bytes");
const stun = new StunWriter().begin(Method.Binding, MessageClass.Request, messageId(new Uint8Array(12))).finish();
const sip = encodeUtf8("OPTIONS sip:a@example.org SIP/2.0\r\n\r\n");
const rtp = Uint8Array.of(0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 0xff);

for (const family of [4, 6] as const) {
  suite(`IPv${family}, inside to outside only`, () => {
    test("lets answers in, and no third party", () => {
      const { world, inside, server, stranger } = lab(new InsideToOutside(), family);
      const [asked, samehost, third] = [server.socket(), server.socket(), stranger.socket()];
      assert.ok(!arrives(world, asked, inside, plain));
      assert.ok(arrives(world, inside, asked, plain));
      assert.ok(arrives(world, asked, inside, plain));
      assert.ok(!arrives(world, samehost, inside, plain));
      assert.ok(!arrives(world, third, inside, plain));
      assert.equal(world.counts.dropped.get("firewall"), 3);
    });
    test("address-dependent: lets in any port of a host that was asked", () => {
      const { world, inside, server, stranger } = lab(new InsideToOutside({ filtering: "address-dependent" }), family);
      assert.ok(arrives(world, inside, server.socket(), plain));
      assert.ok(arrives(world, server.socket(), inside, plain));
      assert.ok(!arrives(world, stranger.socket(), inside, plain));
    });
    test("endpoint-independent: lets in everybody, once the inside socket has spoken", () => {
      const firewall = new InsideToOutside({ filtering: "endpoint-independent" });
      const { world, inside, server, stranger } = lab(firewall, family);
      assert.ok(!arrives(world, stranger.socket(), inside, plain));
      assert.ok(arrives(world, inside, server.socket(), plain));
      assert.ok(arrives(world, stranger.socket(), inside, plain));
    });
    test("forgets when nothing passes for its lifetime, and when it reboots", () => {
      const { world, gateway, inside, server } = lab(new InsideToOutside({ lifetime: 1000 }), family);
      const asked = server.socket();
      arrives(world, inside, asked, plain);
      world.advance(999);
      assert.ok(arrives(world, asked, inside, plain), "and what comes in refreshes");
      world.advance(999);
      assert.ok(arrives(world, asked, inside, plain));
      world.advance(1000);
      assert.ok(!arrives(world, asked, inside, plain));
      arrives(world, inside, asked, plain);
      gateway.reboot();
      assert.ok(!arrives(world, asked, inside, plain));
    });
  });
}

suite("by port of the far side", () => {
  test("only named ports pass, both ways", () => {
    const { world, inside, server } = lab(onlyPorts(443, { min: 8000, max: 8100 }));
    for (const [port, passes] of [
      [443, true],
      [8000, true],
      [8100, true],
      [8101, false],
      [3478, false],
    ] as const) {
      const far = server.socket({ port });
      assert.equal(arrives(world, inside, far, plain), passes, `out to ${port}`);
      assert.equal(arrives(world, far, inside, plain), passes, `in from ${port}`);
    }
  });
  test("the ports of VoIP are denied, others pass", () => {
    const { world, inside, server } = lab(withoutPorts(5060, 5061, 3478, 5349, { min: 10_000, max: 20_000 }));
    for (const [port, passes] of [
      [5060, false],
      [3478, false],
      [15_000, false],
      [443, true],
      [9999, true],
    ] as const) {
      assert.equal(arrives(world, inside, server.socket({ port }), plain), passes, String(port));
    }
  });
  test("no UDP at all", () => {
    const { world, inside, server } = lab(withoutUdp);
    assert.ok(!arrives(world, inside, server.socket(), plain));
  });
});

suite("inspection", () => {
  const kinds = { plain, stun, sip, rtp };
  for (const inspected of ["stun", "sip", "rtp"] as const) {
    test(`drops ${inspected}, and nothing else, both ways`, () => {
      const { world, inside, server } = lab(inspecting(inspected));
      const far = server.socket();
      for (const [kind, data] of Object.entries(kinds)) {
        assert.equal(arrives(world, inside, far, data), kind !== inspected, `${kind} out`);
        assert.equal(arrives(world, far, inside, data), kind !== inspected, `${kind} in`);
      }
    });
  }
  test("finds SIP's version wherever it stands, and takes short payloads for nothing", () => {
    const { world, inside, server } = lab(inspecting("stun", "sip", "rtp"));
    const far = server.socket();
    assert.ok(!arrives(world, inside, far, encodeUtf8("SSIP/2.0 200 OK")));
    for (const data of [new Uint8Array(0), Uint8Array.of(0x80, 0), stun.subarray(0, 19), encodeUtf8("SIP/2.")]) {
      assert.ok(arrives(world, inside, far, data));
    }
  });
});

test("of several firewalls each must pass a packet, and a later one does not see what an earlier one stops", () => {
  const { world, gateway, inside, server } = lab(
    allOf(onlyPorts(443), new InsideToOutside({ filtering: "endpoint-independent" })),
  );
  const [open, shut] = [server.socket({ port: 443 }), server.socket({ port: 80 })];
  assert.ok(!arrives(world, inside, shut, plain));
  assert.ok(!arrives(world, open, inside, plain), "the inside socket has not got out yet");
  assert.ok(arrives(world, inside, open, plain));
  assert.ok(arrives(world, open, inside, plain));
  gateway.reboot();
  assert.ok(!arrives(world, open, inside, plain));
});
