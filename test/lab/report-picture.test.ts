/** Pictures of a network: everything in its place, nothing on top of another thing, in SVG and in characters. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { drawn, layOut } from "../../src/lab/report/layout.ts";
import type { Area, Layout, PlacedLabel } from "../../src/lab/report/placed.ts";
import { sceneOf } from "../../src/lab/report/scene.ts";
import { describePaths } from "../../src/lab/report/sentences.ts";
import { colourStyle, drawSvg } from "../../src/lab/report/svg.ts";
import { drawText, tableText } from "../../src/lab/report/text.ts";
import type { Result } from "../../src/lab/scenario.ts";
import { Counted, crowded, resultOf, site, symmetricCall } from "./report-results.ts";

function lan(): Result {
  const counted = new Counted().exchange(20, ["alice", "10.0.1.2:4000", "10.0.1.3:5000"], ["anna"]);
  return resultOf({ outside: [], sites: [site("home", ["alice", "anna"])] }, counted, { name: "LAN" });
}

function hairpin(): Result {
  const counted = new Counted().send(
    6,
    ["alice", "10.0.1.2:4000", "203.0.113.11:5000"],
    ["home router", "203.0.113.11:4000", "10.0.1.3:5000"],
    ["anna"],
  );
  return resultOf({ outside: ["server"], sites: [site("home", ["alice", "anna"])] }, counted, { name: "hairpin" });
}

function astray(): Result {
  const counted = new Counted().send(5, ["bob", "203.0.113.61:7000", "10.0.1.2:4000"]);
  return resultOf({ outside: ["server", "bob"], sites: [site("home", ["alice"])] }, counted, { name: "astray" });
}

function outsideOnly(): Result {
  const counted = new Counted("tcp").exchange(4, ["server", "203.0.113.1:50000", "203.0.113.61:7000"], ["bob"]);
  return resultOf({ outside: ["server", "bob"], sites: [] }, counted, { name: "outside" });
}

function longNames(): Result {
  const name = (one: string): string => `${one} whose name is longer than there is any room for in a picture`;
  const [phone, home] = [name("a phone"), name("a home")];
  const counted = new Counted().send(5, [phone, "10.0.1.2:4000", "203.0.113.1:50000"], [`${home} router`]);
  return resultOf({ outside: ["server"], sites: [site(home, [phone])] }, counted, { name: "long names" });
}

const results: readonly Result[] = [lan(), hairpin(), astray(), outsideOnly(), symmetricCall(), longNames(), crowded()];

function overlap(one: Area, other: Area): boolean {
  const isBeside = one.x + one.width <= other.x || other.x + other.width <= one.x;
  const isAbove = one.y + one.height <= other.y || other.y + other.height <= one.y;
  return !isBeside && !isAbove;
}

function areaOf({ x, y, anchor, count, port }: PlacedLabel): Area {
  const { metrics } = drawn;
  const width = Math.max(count.length * metrics.count, port.length * metrics.port);
  const left = anchor === "end" ? x - width : anchor === "start" ? x : x - width / 2;
  return { x: left, y: y - 10, width, height: port === "" ? 12 : 26 };
}

/** Lines, as thin areas. */
function lines({ strands }: Layout): Area[] {
  return strands.flatMap(({ points }) =>
    points.slice(1).map(([x, y], i) => {
      const [fromX, fromY] = points[i] as readonly [number, number];
      const [left, top] = [Math.min(x, fromX), Math.min(y, fromY)];
      return { x: left - 1, y: top, width: Math.abs(x - fromX) + 2, height: Math.abs(y - fromY) };
    }),
  );
}

function picture(result: Result): string {
  return drawSvg(layOut(sceneOf(result)), { id: "p", title: result.scenario.name, description: "what happens" });
}

suite("A picture of a network", () => {
  for (const result of results) {
    test(`has nothing on top of another thing: ${result.scenario.name}`, () => {
      const layout = layOut(sceneOf(result));
      const labels = layout.labels.map(areaOf);
      const solid = [...layout.boxes, ...layout.walls];
      for (const [name, some, others] of [
        ["boxes", solid, solid],
        ["labels", labels, labels],
        ["label and box", labels, solid],
        ["label and line", labels, lines(layout)],
      ] as const) {
        for (const one of some) {
          for (const other of others)
            if (one !== other) assert.ok(!overlap(one, other), `${name}: ${JSON.stringify([one, other])}`);
        }
      }
      for (const { x, width } of [...solid, ...labels]) assert.ok(x >= 0 && x + width <= layout.width);
    });

    test(`fits in a terminal: ${result.scenario.name}`, () => {
      const lines = drawText(result);
      for (const line of lines) assert.ok([...line].length <= 100, line);
      const text = lines.join("\n");
      for (const { name } of result.plan.hosts) assert.match(text, new RegExp(`\\b${name.slice(0, 20)}`));
      assert.equal(text.split("╔").length, text.split("╗").length, "a frame is cut off");
    });
  }

  test("shows every host and gateway with its addresses and what it does", () => {
    const svg = picture(crowded());
    for (const shown of [
      "alice",
      "berta",
      "stranger",
      "home router 2",
      "203.0.113.11",
      "100.64.21.1",
      "203.0.113.63",
    ]) {
      assert.ok(svg.includes(`>${shown}<`), shown);
    }
    assert.match(svg, /full cone with hairpinning that shows the inside address/);
    assert.match(svg, />firewall: no VoIP ports</);
  });

  test("says how many conversations it has no room for", () => {
    const layout = layOut(sceneOf(crowded()));
    assert.ok(layout.hidden > 0);
    assert.match(drawText(crowded()).join("\n"), /\d more are not drawn/);
    const { hidden, width } = layOut(sceneOf(symmetricCall()));
    assert.deepEqual([hidden, width], [0, 480]);
  });

  test("draws two sites, and counts what a third one does", () => {
    const counted = new Counted().exchange(
      4,
      ["carol", "10.0.3.2:4000", "203.0.113.1:3478"],
      ["shop router", "203.0.113.13:4000", "203.0.113.1:3478"],
      ["server"],
    );
    const sites = [site("home", ["alice"]), site("office", ["bob"]), site("shop", ["carol"])];
    const layout = layOut(sceneOf(resultOf({ outside: ["server"], sites }, counted)));
    assert.deepEqual(layout.boxes.map(({ name }) => name).sort(), ["alice", "bob", "server"]);
    assert.equal(layout.hidden, 1);
  });

  test("breaks an arrow where its packets ended", () => {
    assert.equal(picture(symmetricCall()).match(/class="cross"/g)?.length, 2);
    assert.equal(picture(lan()).match(/class="cross"/g), null);
    const text = drawText(symmetricCall()).join("\n");
    assert.match(text, /:20000 │ │ +:20000 │/, "a port that is the same both ways is said once");
    assert.match(text, /15 ┆ X 15\n.*:4444 ┆ ┆ :3333/);
    assert.match(text, /X alice to bob: of 15 packets 15 ended at office router\./);
    assert.match(drawText(astray()).join("\n"), /nobody has 10\.0\.1\.2:4000 there/);
  });

  test("draws neighbours that talk side by side, with the counts between them", () => {
    const [top, upper, lower, bottom] = drawText(lan());
    assert.match(top as string, /┐ +20 +┌/);
    assert.match(upper as string, /│─+>│/);
    assert.match(lower as string, /│<─+│/);
    assert.match(bottom as string, /┘ +20 +└/);
    const [server, bob] = layOut(sceneOf(outsideOnly())).boxes;
    assert.ok(server !== undefined && bob !== undefined);
    assert.ok(bob.x - server.x - server.width > "TCP 4".length * drawn.metrics.count);
  });

  test("draws no line through a host that stands between two others", () => {
    const peers = ["203.0.113.61", "203.0.113.62", "203.0.113.63"].map((ip) => `${ip}:7000`);
    const counted = new Counted();
    for (const [i, peer] of peers.entries()) counted.exchange(4, ["server", "203.0.113.1:50000", peer], [`bob ${i}`]);
    const outside = ["server", "bob 0", "bob 1", "bob 2"];
    const layout = layOut(sceneOf(resultOf({ outside, sites: [] }, counted)));
    for (const { x, y, width } of lines(layout)) {
      const line = { x: x + 2, y, width: width - 4, height: 1 };
      assert.ok(!layout.boxes.some((box) => overlap(box, line)), JSON.stringify(line));
    }
    assert.equal(layout.hidden, 1);
  });

  test("has a title and says in words what it shows", () => {
    const svg = picture(symmetricCall());
    assert.match(svg, /role="img" aria-labelledby="p-title p-text"/);
    assert.match(svg, /<title id="p-title">figure 4<\/title>\n<desc id="p-text">what happens<\/desc>/);
    const [first] = describePaths(symmetricCall());
    assert.equal(
      first,
      "The call: alice sent bob 15 packets over UDP, and 0 arrived: 15 ended at office router; " +
        "bob sent alice 15 packets over UDP, and 0 arrived: 15 ended at home router.",
    );
  });

  test("has text that is legible on its ground, light and dark", () => {
    const [light, dark] = [...colourStyle.matchAll(/:root\{([^}]*)\}/g)].map(([, all]) =>
      Object.fromEntries((all as string).split(";").map((one) => one.slice(2).split(":"))),
    );
    for (const scheme of [light, dark]) {
      for (const ground of ["ground", "inside", "internet", "box", "wall"]) {
        for (const text of ["ink", "muted"]) {
          const ratio = contrast(scheme?.[text] as string, scheme?.[ground] as string);
          assert.ok(ratio >= 4.5, `${text} on ${ground}: ${ratio}`);
        }
      }
    }
  });

  test("is a table too, with the reason of what was not expected", () => {
    const wrong = symmetricCall({ outcome: "works", why: "nobody knows", roundTrip: 50 });
    const table = tableText([symmetricCall(), wrong]);
    assert.match(table[1] as string, /^ok +figure 4 +0 ms +fails +fails$/);
    assert.match(table[2] as string, /^NOT OK +figure 4 +50 ms +fails +works$/);
    assert.match(table[3] as string, /^ +nobody knows$/);
    assert.equal(table.at(-1), "1 scenario, 2 runs: 1 not as expected");
  });
});

/** WCAG 2.1's ratio. */
function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
