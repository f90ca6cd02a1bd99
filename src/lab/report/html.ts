/** Results as one HTML file that needs nothing else: no other file, no script. */
import type { Result, Scenario } from "../scenario.ts";
import { escapeHtml } from "./escape.ts";
import { pageStyle } from "./html-style.ts";
import { layOut } from "./layout.ts";
import { conversationsOf, type Path, pathsOf, purposes } from "./path.ts";
import { sceneOf } from "./scene.ts";
import { describePaths, describeStops, lossesOf, sentenceCase, summarize } from "./sentences.ts";
import { drawSvg } from "./svg.ts";

/** A scenario with its results, one for each round trip. */
interface Group {
  readonly scenario: Scenario;
  readonly results: readonly Result[];
  readonly id: string;
}

const mostFlows = 40;
const mostSentences = 5;
const usualWidth = 480;

export function reportHtml(results: readonly Result[]): string {
  const groups = groupByScenario(results);
  const failed = results.filter(({ passed }) => !passed).length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Postern lab: ${escapeHtml(summarize(results))}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<h1>Postern lab</h1>
<p class="summary ${failed === 0 ? "good" : "bad"}">${mark(failed === 0)} ${escapeHtml(sentenceCase(summarize(results)))}.</p>
${table(groups)}
${groups.map(section).join("\n")}
</main>
</body>
</html>
`;
}

function groupByScenario(results: readonly Result[]): Group[] {
  const groups = Map.groupBy(results, ({ scenario }) => scenario.name);
  return [...groups.values()].map((some, i) => ({
    scenario: (some[0] as Result).scenario,
    results: some,
    id: `scenario-${i + 1}`,
  }));
}

function mark(isGood: boolean): string {
  return isGood
    ? '<span class="mark good" role="img" aria-label="as expected">✓</span>'
    : '<span class="mark bad" role="img" aria-label="not as expected">✗</span>';
}

function table(groups: readonly Group[]): string {
  if (groups.length === 0) return "";
  const heads = ["scenario", "expected", "seen", "why"].map((name) => `<th scope="col">${name}</th>`).join("");
  return `<table class="overview">
<thead><tr>${heads}</tr></thead>
<tbody>
${groups.map(row).join("\n")}
</tbody>
</table>`;
}

function row({ scenario: { name, title, expected }, results, id }: Group): string {
  const seen = results.map(
    ({ roundTrip, outcome, passed }) =>
      `<div class="seen">${mark(passed)} ${outcome} <small>${roundTrip} ms</small></div>`,
  );
  const whys = Map.groupBy(results, ({ why }) => why);
  const reasons = [...whys].map(([why, same]) => {
    const at = whys.size > 1 ? `<small>${same.map(({ roundTrip }) => roundTrip).join(", ")} ms:</small> ` : "";
    return `<div>${at}${escapeHtml(why)}</div>`;
  });
  return `<tr>
<th scope="row" data-name="scenario"><a href="#${id}">${escapeHtml(name)}</a><span>${escapeHtml(title)}</span></th>
<td data-name="expected">${expected}</td>
<td data-name="seen">${seen.join("")}</td>
<td data-name="why">${reasons.join("")}</td>
</tr>`;
}

function section({ scenario, results, id }: Group): string {
  // The one to look at: what went wrong, or the last.
  const shown = results.find(({ passed }) => !passed) ?? (results.at(-1) as Result);
  const several = results.length > 1;
  return `<section id="${id}" aria-labelledby="${id}-name">
<h2 id="${id}-name">${escapeHtml(scenario.name)}</h2>
<p class="title">${escapeHtml(scenario.title)}</p>
<div class="result">
${picture(shown, id, several)}
<div class="facts">
${reasons(scenario, results)}
${figures(results)}
${sentences(shown)}
</div>
</div>
${results.map((result, i) => particulars(result, several, result === shown, `${id}-${i + 1}`)).join("\n")}
</section>`;
}

function picture(result: Result, id: string, several: boolean): string {
  const layout = layOut(sceneOf(result));
  const { scenario, roundTrip } = result;
  const title = `${scenario.name}, ${roundTrip} ms: the network and the path that packets took`;
  const caption = [
    ...(several ? [`At ${roundTrip} ms.`] : []),
    ...(layout.hidden > 0 ? [`${layout.hidden} more in the list of flows.`] : []),
  ].join(" ");
  const svg = drawSvg(layout, { id, title, description: describePaths(result).join(" ") });
  const wide = layout.width > usualWidth ? ` class="wide" style="--width:${layout.width}px"` : "";
  return `<figure${wide}><div class="scroll">${svg}</div>${caption === "" ? "" : `<figcaption>${caption}</figcaption>`}</figure>`;
}

function reasons({ expected }: Scenario, results: readonly Result[]): string {
  const said = Map.groupBy(results, ({ why, passed }) => `${passed} ${why}`);
  return [...said.values()]
    .map((same) => {
      const { outcome, passed, why } = same[0] as Result;
      const at = results.length > 1 ? ` <small>at ${same.map(({ roundTrip }) => roundTrip).join(", ")} ms</small>` : "";
      const must = expected === "works" ? "ought to" : "must";
      const verdict = passed ? `${outcome}, as it ${must}` : `${outcome}, and ${must} ${expected.slice(0, -1)}`;
      return `<p class="verdict">${mark(passed)} <strong>${sentenceCase(verdict)}</strong>${at}</p>\n<p>${escapeHtml(why)}</p>`;
    })
    .join("\n");
}

/** What the picture says, in words. */
function sentences(result: Result): string {
  const all = describePaths(result);
  const items = all.slice(0, mostSentences).map((one) => `<li>${escapeHtml(one)}</li>`);
  return items.length === 0 ? "" : `<ul class="paths">${items.join("")}</ul>`;
}

/** What was measured, a column for each round trip. */
function figures(results: readonly Result[]): string {
  const measured = results.filter((result) => result.figures !== undefined);
  const names = [...new Set(measured.flatMap((result) => Object.keys(result.figures ?? {})))];
  if (names.length === 0) return "";
  const heads = measured.map(({ roundTrip }) => `<th scope="col">${roundTrip} ms</th>`).join("");
  const head = measured.length > 1 ? `<thead><tr><td></td>${heads}</tr></thead>` : "";
  const rows = names.map((name) => {
    const cells = measured.map((result) => `<td>${escapeHtml(result.figures?.[name] ?? "–")}</td>`);
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells.join("")}</tr>`;
  });
  return `<div class="scroll" tabindex="0"><table class="figures">${head}<tbody>${rows.join("")}</tbody></table></div>`;
}

function particulars(result: Result, several: boolean, isShown: boolean, id: string): string {
  const { roundTrip, screen } = result;
  const at = several ? ` at ${roundTrip} ms` : "";
  const drawn = isShown ? "" : picture(result, id, several);
  const flows = `<details><summary>Flows${at}</summary>${drawn}${flowTable(result)}</details>`;
  if (screen === undefined) return flows;
  return `${flows}\n<details><summary>Screen${at}</summary><pre tabindex="0">${escapeHtml(screen.trimEnd())}</pre></details>`;
}

function flowTable(result: Result): string {
  const paths = conversationsOf(pathsOf(result)).flatMap(({ there, back }) =>
    back === undefined ? [there] : [there, back],
  );
  if (paths.length === 0) return "<p>No packet left any host.</p>";
  const heads = ["for", "way", "sent", "arrived", "ended"].map((name) => `<th scope="col">${name}</th>`).join("");
  const rows = paths.slice(0, mostFlows).map(flowRow);
  const more = paths.length > mostFlows ? `<p class="more">${paths.length - mostFlows} more are not listed.</p>` : "";
  return `<table class="flows"><thead><tr>${heads}</tr></thead><tbody>${rows.join("")}</tbody></table>${more}`;
}

function flowRow(path: Path): string {
  const { purpose, protocol, sent, received, flows } = path;
  const many = flows > 1 ? ` <small>${flows} flows</small>` : "";
  return (
    `<tr><td data-name="for"><span class="${purpose}">${purposes[purpose]}</span>${many}</td>` +
    `<td data-name="way">${protocol.toUpperCase()} ${escapeHtml(describeStops(path))}</td>` +
    `<td data-name="sent">${sent}</td><td data-name="arrived">${received}</td>` +
    `<td data-name="ended" class="lost">${escapeHtml(lossesOf(path).join("; "))}</td></tr>`
  );
}
