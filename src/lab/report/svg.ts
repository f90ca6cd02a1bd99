/** The picture of a layout, as SVG that follows the reader's choice of light or dark. */
import { escapeHtml } from "./escape.ts";
import { type Purpose, purposes } from "./path.ts";
import type { Box, Layout, PlacedLabel, Strand, Wall, Zone } from "./placed.ts";

export interface SvgOptions {
  /** Of its title and description; unique in the page. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Carries its own style, to be a file of its own. */
  readonly standalone?: boolean;
  /** Other names for the purposes, as a document wants them. */
  readonly legend?: Readonly<Partial<Record<Purpose, string>>>;
}

/** Every colour twice: on light and on dark ground. Each pair of text and ground has a contrast of 4.5 or more. */
const colours: Readonly<Record<string, readonly [light: string, dark: string]>> = {
  ground: ["#ffffff", "#0d1117"],
  ink: ["#1f2328", "#e6edf3"],
  muted: ["#57606a", "#9198a1"],
  line: ["#d0d7de", "#3d444d"],
  inside: ["#f6f8fa", "#151b23"],
  internet: ["#e9f4ff", "#0c2038"],
  box: ["#ffffff", "#0d1117"],
  "box-edge": ["#8c959f", "#656c76"],
  wall: ["#fff8c5", "#2e2608"],
  "wall-edge": ["#9a6700", "#9e6a03"],
  call: ["#1a7f37", "#3fb950"],
  control: ["#0969da", "#58a6ff"],
  signaling: ["#bc4c00", "#f0883e"],
  probe: ["#8250df", "#bc8cff"],
  uninvited: ["#9a6700", "#d29922"],
  lost: ["#cf222e", "#ff7b72"],
};

function variables(scheme: 0 | 1): string {
  return Object.entries(colours)
    .map(([name, pair]) => `--${name}:${pair[scheme]}`)
    .join(";");
}

/** For `:root` of the page, or of the picture alone. */
export const colourStyle: string = `:root{${variables(0)}}@media(prefers-color-scheme:dark){:root{${variables(1)}}}`;

export const pictureStyle: string = `
.net{font-family:system-ui,sans-serif;font-size:13px}
.net text{fill:var(--ink)}
.net .name{font-weight:600;font-size:14px}
.net .mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:11px}
.net .soft{fill:var(--muted)}
.net .count{font-weight:600;font-size:12.5px}
.net .zone{fill:var(--inside);stroke:var(--line)}
.net .zone.internet{fill:var(--internet)}
.net .box{fill:var(--box);stroke:var(--box-edge)}
.net .wall{fill:var(--wall);stroke:var(--wall-edge)}
.net .strand{fill:none;stroke-width:2.4;stroke-linejoin:round}
.net .lost{stroke:var(--lost);stroke-dasharray:6 4}
.net .cross{fill:none;stroke:var(--lost);stroke-width:3;stroke-linecap:round}
${(Object.keys(purposes) as Purpose[])
  .map((one) => `.net .strand.${one}{stroke:var(--${one})}.net .fill-${one}{fill:var(--${one})}`)
  .join("\n")}
.net .strand.lost{stroke:var(--lost)}.net .fill-lost{fill:var(--lost)}`;

const legendLine = 20;

/** `layout` as an `<svg>` element. */
export function drawSvg(layout: Layout, options: SvgOptions): string {
  const shown = (Object.keys(purposes) as Purpose[]).filter((one) =>
    layout.strands.some((strand) => strand.thread.purpose === one && !isLost(strand)),
  );
  const lines = legendLines(shown, layout.strands.some(isLost), options.legend);
  const height = layout.height + (lines.length > 0 ? 10 + legendLine * lines.length : 0);
  const { id, title, description, standalone = false } = options;
  const size = standalone ? ` width="${layout.width}" height="${height}"` : "";
  return [
    `<svg class="net" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${layout.width} ${height}"${size} role="img" aria-labelledby="${id}-title ${id}-text">`,
    `<title id="${id}-title">${escapeHtml(title)}</title>`,
    `<desc id="${id}-text">${escapeHtml(description)}</desc>`,
    standalone
      ? `<style>${colourStyle}${pictureStyle}</style><rect width="100%" height="100%" rx="8" fill="var(--ground)"/>`
      : "",
    ...layout.zones.map(drawZone),
    ...layout.strands.map(drawStrand),
    ...layout.boxes.map(drawBox),
    ...layout.walls.map(drawWall),
    ...layout.strands.map(drawCross),
    ...layout.labels.map(drawLabel),
    ...lines.map((line, i) => line(layout.height + 14 + legendLine * i)),
    "</svg>",
  ]
    .filter((line) => line !== "")
    .join("\n");
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function drawZone({ x, y, width, height, name, isInternet }: Zone): string {
  const middle = y + height / 2;
  return (
    `<rect class="zone${isInternet ? " internet" : ""}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}"/>` +
    `<text class="soft" font-size="11.5" text-anchor="middle" transform="translate(17 ${n(middle)}) rotate(-90)">${escapeHtml(shorten(name, height / 7))}</text>`
  );
}

function drawBox({ x, y, width, height, name, lines }: Box): string {
  const middle = n(x + width / 2);
  const rest = lines.map(
    (line, i) =>
      `<text class="mono soft" text-anchor="middle" x="${middle}" y="${n(y + 36 + 15 * i)}">${escapeHtml(line)}</text>`,
  );
  return (
    `<rect class="box" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" rx="8"/>` +
    `<text class="name" text-anchor="middle" x="${middle}" y="${n(y + 20)}">${escapeHtml(shorten(name, width / 8))}</text>${rest.join("")}`
  );
}

function drawWall({ x, y, width, height, gateway, facts, addresses }: Wall): string {
  const right = n(x + width - 10);
  const text = (line: string, i: number) =>
    `<text class="soft" x="${n(x + 12)}" y="${n(y + 35 + 15 * i)}" font-size="12.5">${escapeHtml(line)}</text>`;
  const address = (line: string, at: number) =>
    `<text class="mono soft" text-anchor="end" x="${right}" y="${n(at)}">${escapeHtml(line)}</text>`;
  return (
    `<rect class="wall" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" rx="3"/>` +
    `<text class="name" x="${n(x + 12)}" y="${n(y + 19)}">${escapeHtml(shorten(gateway.name, 34))}</text>` +
    facts.map(text).join("") +
    address(addresses[0], y + 18) +
    address(addresses[1], y + height - 11)
  );
}

function isLost({ fate }: Strand): boolean {
  return fate === "dropped" || fate === "vanished";
}

function drawStrand(strand: Strand): string {
  const { points, thread } = strand;
  const colour = isLost(strand) ? "lost" : thread.purpose;
  const goesOn = !isLost(strand) && strand.fate !== "partly";
  const head = goesOn ? drawHead(points, colour) : "";
  const stop = goesOn ? shortened(points) : points;
  return `<path class="strand ${colour}" d="${curve(stop)}"/>${head}`;
}

/** Straight, and from one place to another beside it in an S. */
function curve(points: Strand["points"]): string {
  const [first, ...rest] = points as readonly [readonly [number, number], ...(readonly [number, number])[]];
  let [x, y] = first;
  let path = `M${n(x)} ${n(y)}`;
  for (const [toX, toY] of rest) {
    const half = (y + toY) / 2;
    path +=
      toX === x || toY === y ? `L${n(toX)} ${n(toY)}` : `C${n(x)} ${n(half)} ${n(toX)} ${n(half)} ${n(toX)} ${n(toY)}`;
    [x, y] = [toX, toY];
  }
  return path;
}

/** Room for the head of the arrow. */
function shortened(points: Strand["points"]): Strand["points"] {
  const [x, y] = points.at(-1) as readonly [number, number];
  const [dx, dy] = heading(points);
  return [...points.slice(0, -1), [x - dx * 6, y - dy * 6]];
}

function heading(points: Strand["points"]): readonly [number, number] {
  const [[x, y], [toX, toY]] = points.slice(-2) as [readonly [number, number], readonly [number, number]];
  return y === toY ? [Math.sign(toX - x), 0] : [0, Math.sign(toY - y)];
}

function drawHead(points: Strand["points"], colour: string): string {
  const [x, y] = points.at(-1) as readonly [number, number];
  const [dx, dy] = heading(points);
  const back = (side: number) => `${n(x - dx * 9 + dy * side)} ${n(y - dy * 9 + dx * side)}`;
  return `<path class="fill-${colour}" d="M${n(x)} ${n(y)}L${back(4.6)}L${back(-4.6)}z"/>`;
}

function drawCross(strand: Strand): string {
  if (!isLost(strand) && strand.fate !== "partly") return "";
  const [x, y] = strand.points.at(-1) as readonly [number, number];
  const [dx, dy] = heading(strand.points);
  // Two strands of one column may end beside each other.
  const size = strand.fate === "partly" ? 3.6 : 5.5;
  const [cx, cy] = [x - dx * 4, y - dy * 4];
  return `<path class="cross" d="M${n(cx - size)} ${n(cy - size)}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}"/>`;
}

function drawLabel({ x, y, anchor, count, port }: PlacedLabel): string {
  const line = (kind: string, text: string, at: number) =>
    text === ""
      ? ""
      : `<text class="${kind}" text-anchor="${anchor}" x="${n(x)}" y="${n(at)}">${escapeHtml(text)}</text>`;
  return line("count", count, y) + line("mono soft", port, y + 14);
}

type Line = (y: number) => string;

/** One purpose a line: a phone's picture is not wide. */
function legendLines(shown: readonly Purpose[], hasLoss: boolean, names: SvgOptions["legend"]): Line[] {
  const entry =
    (colour: string, text: string): Line =>
    (y) =>
      `<path class="strand ${colour}" d="M12 ${n(y)}h26"/><text class="soft" x="48" y="${n(y + 4)}" font-size="12.5">${escapeHtml(text)}</text>`;
  const entries = shown.map((one) => entry(one, names?.[one] ?? purposes[one]));
  return hasLoss ? [...entries, entry("lost", "packets that all ended at the ×")] : entries;
}

/** To what there is room for. */
function shorten(text: string, length: number): string {
  const most = Math.max(3, Math.floor(length));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
