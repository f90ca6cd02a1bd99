/** A whole network, whatever is sent in it: nothing reaches an inside host that it did not ask for. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Address, formatAddress, sameAddress, sameIp } from "../../src/core/base/address.ts";
import { type NatBehavior, natBehavior } from "../../src/natlab/behavior.ts";
import { InsideToOutside } from "../../src/natlab/firewall/inside-to-outside.ts";
import { toAddress } from "../../src/natlab/surroundings.ts";
import type { UdpSocket } from "../../src/natlab/udp-socket.ts";
import { World } from "../../src/natlab/world.ts";
import { assignments, hairpins, pairs } from "./oracle-table.ts";

const lifetime = 1000;

const behaviors: fc.Arbitrary<NatBehavior> = fc
  .record({
    pair: fc.constantFrom(...pairs),
    ports: fc.constantFrom(...assignments),
    hairpin: fc.constantFrom(...hairpins),
    refreshScope: fc.constantFrom<NatBehavior["refreshScope"]>("mapping", "session"),
  })
  // Few ports, so that guesses hit.
  .map(({ pair, ...rest }) => natBehavior({ ...pair, ...rest, lifetime, portRange: { min: 5000, max: 5009 } }));

const steps = fc.array(
  fc.record({
    wait: fc.constantFrom(0, 0, 0, 0, 100, 300, 999),
    from: fc.nat(999),
    to: fc.nat(999),
    choice: fc.constantFrom<"outside" | "seen" | "any">("outside", "seen", "any"),
  }),
  { minLength: 60, maxLength: 120 },
);

/** One home behind a NAT behind a carrier's NAT, one with its own public address and IPv6, and hosts outside. */
function network(seed: number, homeNat: NatBehavior, carrierNat: NatBehavior) {
  const world = new World({ seed });
  const [internet, carrier, one, two] = ["internet", "carrier", "one", "two"].map((name) => world.link(name));
  assert.ok(internet && carrier && one && two);
  world.gateway("cgn", { nat: carrierNat }).outside(internet, "203.0.113.1").inside(carrier, "100.64.0.1/10");
  world.gateway("nat one", { nat: homeNat }).outside(carrier, "100.64.0.2").inside(one, "192.168.1.1/24");
  world
    .gateway("nat two", { nat: homeNat, firewall: new InsideToOutside({ lifetime, refreshedBy: "outbound" }) })
    .outside(internet, "203.0.113.2", "2001:db8::1")
    .inside(two, "192.168.1.1/24", "2001:db8:2::1/64");
  const host = (name: string, link: typeof internet, ...addresses: string[]) => {
    const made = world.host(name).attach(link, ...addresses);
    return addresses.flatMap((address) => [made.socket({ address, port: 5000 }), made.socket({ address, port: 5001 })]);
  };
  const inside = [
    ...host("a", one, "192.168.1.2"),
    ...host("b", two, "192.168.1.2", "2001:db8:2::2"),
    ...host("c", two, "192.168.1.3", "2001:db8:2::3"),
  ];
  const outside = [
    ...host("s", internet, "198.51.100.1", "2001:db8::2"),
    ...host("t", internet, "198.51.100.2", "2001:db8::3"),
  ];
  return { world, inside, outside };
}

/** Where anybody might send: every host's address, and every port of the NATs. */
function targets(sockets: readonly UdpSocket[]): Readonly<Address>[] {
  const nats = ["203.0.113.1", "203.0.113.2", "100.64.0.2"].flatMap((ip) =>
    Array.from({ length: 10 }, (_, n) => toAddress(ip, 5000 + n)),
  );
  return [...sockets.map(({ address }) => address), ...nats];
}

interface Asked {
  readonly by: UdpSocket;
  readonly whom: Readonly<Address>;
  readonly at: number;
}

/** Runs `plan`, and calls `judge` with all that reaches an inside socket from an outside one. */
function run(
  { world, inside, outside }: ReturnType<typeof network>,
  plan: readonly { wait: number; from: number; to: number; choice: "outside" | "seen" | "any" }[],
  judge: (socket: UdpSocket, source: Readonly<Address>, asked: readonly Asked[], now: number) => void,
): void {
  const asked: Asked[] = [];
  const everyone = [...inside, ...outside];
  const places = targets(everyone);
  // What any outside host has seen of the insides, every one of them may try.
  const seen: Readonly<Address>[] = [];
  for (const socket of outside) socket.onMessage = (_, source) => seen.push(source);
  for (const socket of inside) {
    socket.onMessage = (_, source) => {
      if (outside.some(({ address }) => sameAddress(address, source))) judge(socket, source, asked, world.now);
    };
  }
  for (const { wait, from, to, choice } of plan) {
    world.advance(wait);
    const socket = everyone[from % everyone.length] as UdpSocket;
    const choices = { outside: outside.map(({ address }) => address), seen, any: places }[choice];
    const family = choices.filter((place) => place.family === socket.address.family);
    const whom = family[to % family.length] ?? (places[0] as Address);
    if (whom.family !== socket.address.family) continue;
    if (inside.includes(socket)) asked.push({ by: socket, whom, at: world.now });
    socket.send(new Uint8Array(1), whom);
    world.advance(0);
  }
}

suite("whatever is sent by whomever", () => {
  test("an inside host hears only what its NATs' filtering lets it have asked for, in time", () => {
    let heard = 0;
    fc.assert(
      fc.property(fc.integer(), behaviors, behaviors, steps, (seed, home, carrier, plan) => {
        run(network(seed, home, carrier), plan, (socket, source, asked, now) => {
          heard++;
          const own = asked.filter(({ by }) => by === socket);
          assert.ok(
            own.some(({ at }) => now < at + lifetime),
            `${formatAddress(source)} reached ${formatAddress(socket.address)}, long silent`,
          );
          // Every home's filter passes what it lets in; a firewall is address-and-port-dependent.
          const guarded = socket.address.family === 6 || socket.address.w3 === toAddress("192.168.1.3").w3;
          const knows = ({ whom }: Asked): boolean => {
            if (guarded || home.filtering === "address-and-port-dependent") return sameAddress(whom, source);
            return home.filtering === "endpoint-independent" || sameIp(whom, source);
          };
          assert.ok(own.some(knows), `${formatAddress(source)} reached ${formatAddress(socket.address)}`);
        });
      }),
      { numRuns: 400 },
    );
    assert.ok(heard > 100, `something was heard: ${heard}`);
  });
});
