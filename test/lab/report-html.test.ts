/** The report: one file that stands alone, and lets nothing that a program wrote become markup. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { reportHtml } from "../../src/lab/report/html.ts";
import { Counted, crowded, resultOf, site, symmetricCall } from "./report-results.ts";

const evil = `<script>alert("1")</script>&'`;

suite("The lab's report", () => {
  test("says at the top whether all was as expected", () => {
    assert.match(reportHtml([symmetricCall(), crowded()]), /2 scenarios: all as expected\./);
    const html = reportHtml([symmetricCall(), symmetricCall({ roundTrip: 50, outcome: "works" })]);
    assert.match(html, /1 scenario, 2 runs: 1 not as expected\./);
    assert.match(html, /Works, and must fail/);
  });

  test("puts the round trips of one scenario together", () => {
    const html = reportHtml([
      symmetricCall({ figures: { "round trip": "0.2 ms" } }),
      crowded(),
      symmetricCall({ roundTrip: 50, figures: { "round trip": "50.3 ms" } }),
    ]);
    assert.equal(html.match(/<section /g)?.length, 2);
    assert.match(html, /<th scope="row">round trip<\/th><td>0\.2 ms<\/td><td>50\.3 ms<\/td>/);
    assert.match(html, /<summary>Flows at 50 ms<\/summary>/);
    assert.doesNotMatch(html, /<small>0, 50 ms:/, "one reason for both needs no round trip");
    const apart = reportHtml([symmetricCall(), symmetricCall({ roundTrip: 50, why: "another" })]);
    assert.match(apart, /<div><small>50 ms:<\/small> another<\/div>/);
  });

  test("shows the picture of what went wrong", () => {
    const wrong = symmetricCall({ roundTrip: 50, outcome: "broken", why: "no server" });
    const html = reportHtml([symmetricCall(), wrong, symmetricCall({ roundTrip: 100 })]);
    const figure = html.slice(html.indexOf("<figure"), html.indexOf("</figure>"));
    assert.match(figure, /At 50 ms\./);
    assert.match(html, /Broken, and must fail/);
  });

  test("escapes whatever programs and scenarios say", () => {
    const topology = { outside: ["server", evil], sites: [site(evil, [`a${evil}`])] };
    const text = { name: evil, title: evil, why: evil, screen: `${evil}\u0007`, figures: { [evil]: evil } };
    const html = reportHtml([resultOf(topology, new Counted(), text)]);
    assert.ok(!html.includes("<script"));
    assert.ok(html.includes("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;&#39;"));
    assert.ok(!html.includes("\u0007"), "a character that XML cannot hold");
  });

  test("needs no other file and runs no script", () => {
    const html = reportHtml([symmetricCall({ screen: "see http://example.org/" }), crowded()]);
    const markup = html.replace(/<pre[^>]*>[^<]*<\/pre>/g, "").replaceAll("http://www.w3.org/2000/svg", "");
    assert.doesNotMatch(markup, /https?:|\bsrc=|url\(|@import|<script|<link|\son\w+=/);
  });

  test("lists every flow, and where its packets ended", () => {
    const html = reportHtml([symmetricCall()]);
    const flows = html.slice(html.indexOf('<table class="flows">'));
    assert.match(flows, /UDP alice :20000 → home router :4444 → office router/);
    assert.match(flows, /<td data-name="sent">15<\/td><td data-name="arrived">0<\/td>/);
    assert.match(flows, /15 ended at office router/);
  });

  test("is a page too when nothing ran", () => {
    assert.match(reportHtml([]), /0 scenarios: all as expected/);
  });
});
