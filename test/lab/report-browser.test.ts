/** The report in a real browser: well-formed, within its width on a desk and on a phone, no text on top of other text. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Page } from "playwright-core";
import { reportHtml } from "../../src/lab/report/html.ts";
import { layOut } from "../../src/lab/report/layout.ts";
import { sceneOf } from "../../src/lab/report/scene.ts";
import { drawSvg } from "../../src/lab/report/svg.ts";
import { type Browser, startBrowser } from "../interop/browser.ts";
import { requirePeer } from "../support/peers.ts";
import { crowded, symmetricCall } from "./report-results.ts";

const long = "a_word_that_has_no_end_".repeat(12);
const html = reportHtml([
  symmetricCall({ screen: `${long}\n${"x ".repeat(200)}`, figures: { "round trip": "0.2 ms" } }),
  symmetricCall({ roundTrip: 150, why: long, figures: { "round trip": "150.4 ms", [long]: long } }),
  crowded(),
]);

suite("The lab's report in Chromium", { skip: requirePeer("chromium") }, () => {
  let browser: Browser;
  let page: Page;
  before(async () => {
    browser = await startBrowser({});
    page = await browser.newPage();
  });
  after(() => browser?.close());

  for (const width of [1200, 900, 400, 320]) {
    test(`stays within ${width} pixels, with everything open`, async () => {
      await page.setViewportSize({ width, height: 900 });
      await page.setContent(html.replaceAll("<details>", "<details open>"));
      const widest = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(widest <= width, `${widest} > ${width}`);
    });
  }

  test("has pictures in which no text lies on another or outside", async () => {
    await page.setViewportSize({ width: 1200, height: 900 });
    await page.setContent(html.replaceAll("<details>", "<details open>"));
    const faults = await page.evaluate(() =>
      [...document.querySelectorAll("svg")].flatMap((svg) => {
        const frame = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")].map((text) => ({
          words: text.textContent,
          box: text.getBoundingClientRect(),
        }));
        const outside = texts.filter(({ box }) => box.left < frame.left || box.right > frame.right);
        const pairs = texts.flatMap((one, i) => texts.slice(i + 1).map((other) => [one, other] as const));
        // A line's box is higher than its letters.
        const leeway = 4;
        const clashes = pairs.filter(([{ box: a }, { box: b }]) => {
          const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
          return across > 0.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > leeway;
        });
        return [
          ...outside.map(({ words }) => `outside: ${words}`),
          ...clashes.map(([one, other]) => `${one.words} on ${other.words}`),
        ];
      }),
    );
    assert.deepEqual(faults, []);
  });

  test("changes with the reader's choice of light or dark", async () => {
    const grounds: string[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setContent(html);
      grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    }
    assert.deepEqual(grounds, ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]);
  });

  test("has pictures that are XML, whatever their names are", async () => {
    const options = { id: "p", title: "<a> & \"b\" 'c' \u0001", description: "]]>", standalone: true };
    for (const result of [symmetricCall(), crowded()]) {
      const svg = drawSvg(layOut(sceneOf(result)), options);
      const fault = await page.evaluate((text) => {
        const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
        return parsed.querySelector("parsererror")?.textContent ?? "";
      }, svg);
      assert.equal(fault, "");
    }
  });
});
