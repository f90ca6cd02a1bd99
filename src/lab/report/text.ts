/** Results for a terminal: box characters, at most 100 columns. */
import type { Result } from "../scenario.ts";
import { grid } from "./columns.ts";
import { type LayoutOptions, layOut } from "./layout.ts";
import type { Area, Layout, PlacedLabel, Strand, Wall } from "./placed.ts";
import { sceneOf } from "./scene.ts";
import { lossLines, summarize } from "./sentences.ts";

const columns = 100;
const gapLines = 3;
/** A character is one step of the grid wide. */
const typed: LayoutOptions = { widths: [480, 525], metrics: { count: grid, port: grid, margin: grid, leastBox: 80 } };

/** The network and the path that packets took in it; where packets ended is said below. */
export function drawText(result: Result): string[] {
  const layout = layOut(sceneOf(result), typed);
  const { hidden } = layout;
  const more = hidden > 0 ? [`${hidden} more ${hidden === 1 ? "is" : "are"} not drawn.`] : [];
  return [...new TextPlot(layout).lines(), ...wrapAll([...more, ...lossLines(result)])];
}

function wrapAll(lines: readonly string[]): string[] {
  return lines.flatMap((line) => wrap(line, columns));
}

function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) as string;
    if (last === "") lines[lines.length - 1] = word.slice(0, width);
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word.slice(0, width));
  }
  return lines;
}

/** The layout's units onto characters: x in proportion, y by the lines that each row needs. */
class TextPlot {
  readonly #layout: Layout;
  readonly #cells: string[][] = [];
  /** Of the layout's y the line, at each edge of each row. */
  readonly #knots: (readonly [y: number, line: number])[] = [];

  constructor(layout: Layout) {
    this.#layout = layout;
    let line = 0;
    for (const [i, { y, height }] of layout.rows.entries()) {
      const bottom = line + this.#linesIn(layout.rows[i] as Area) + 1;
      this.#knots.push([y, line], [y + height, bottom]);
      const next = layout.rows[i + 1];
      line = bottom + 1 + gapLines + (next !== undefined && next.y - y - height > 60 ? 2 : 0);
    }
  }

  lines(): string[] {
    for (const strand of this.#layout.strands) this.#drawStrand(strand);
    for (const box of this.#layout.boxes) this.#drawFrame(box, [box.name, ...box.lines], "┌─┐│└┘");
    for (const wall of this.#layout.walls) this.#drawWall(wall);
    for (const strand of this.#layout.strands) this.#drawEnd(strand);
    for (const label of this.#layout.labels) this.#drawLabel(label);
    return Array.from(this.#cells, (cells) =>
      Array.from(cells ?? [], (cell) => cell ?? " ")
        .join("")
        .trimEnd(),
    );
  }

  #linesIn(row: Area): number {
    const box = this.#layout.boxes.filter(({ y }) => y === row.y).map(({ lines }) => 1 + Math.max(1, lines.length));
    const wall = this.#layout.walls.filter(({ y }) => y === row.y).map(({ facts }) => 1 + facts.length);
    return Math.max(0, ...box, ...wall);
  }

  #column(x: number): number {
    return Math.round((x - (this.#layout.rows[0]?.x ?? 0)) / grid);
  }

  /** `round`: of two that are on one level, the upper's and the lower's differ. */
  #line(y: number, round: (line: number) => number = Math.round): number {
    const after = this.#knots.findIndex(([at]) => at >= y);
    const [to, from] = [this.#knots[Math.max(after, 1)], this.#knots[Math.max(after, 1) - 1]];
    if (to === undefined || from === undefined) return 0;
    return round(from[1] + ((to[1] - from[1]) * (y - from[0])) / (to[0] - from[0]));
  }

  #put(column: number, line: number, text: string): void {
    const cells = (this.#cells[line] ??= []);
    for (const [i, character] of [...text].entries())
      if (column + i >= 0 && column + i < columns) cells[column + i] = character;
  }

  #drawFrame({ x, y, width, height }: Area, lines: readonly string[], [a, b, c, d, e, f]: string): void {
    const [left, right] = [this.#column(x), this.#column(x + width)];
    const [top, bottom] = [this.#line(y), this.#line(y + height)];
    const inner = right - left - 1;
    this.#put(left, top, `${a}${(b as string).repeat(inner)}${c}`);
    for (let line = top + 1; line < bottom; line++) {
      const text = (lines[line - top - 1] ?? "").slice(0, inner);
      const before = Math.floor((inner - text.length) / 2);
      this.#put(left, line, `${d}${(" ".repeat(before) + text).padEnd(inner)}${d}`);
    }
    this.#put(left, bottom, `${e}${(b as string).repeat(inner)}${f}`);
  }

  #drawWall(wall: Wall): void {
    const { x, y, width, height, gateway, facts, addresses } = wall;
    this.#drawFrame(wall, [], "╔═╗║╚╝");
    const [left, right] = [this.#column(x) + 2, this.#column(x + width) - 1];
    const top = this.#line(y);
    for (const [i, text] of [gateway.name, ...facts].entries()) this.#put(left, top + 1 + i, text.slice(0, 60));
    this.#put(right - addresses[0].length, top + 1, addresses[0]);
    this.#put(right - addresses[1].length, this.#line(y + height) - 1, addresses[1]);
  }

  #drawStrand({ points, fate, isDown }: Strand): void {
    const bar = fate === "dropped" || fate === "vanished" ? "┆" : "│";
    for (const [i, [x, y]] of points.slice(1).entries()) {
      const [fromX, fromY] = points[i] as readonly [number, number];
      const [from, to] = [this.#column(fromX), this.#column(x)];
      if (fromY === y) this.#put(Math.min(from, to), this.#level(y, isDown), "─".repeat(Math.abs(to - from) + 1));
      else if (from === to) this.#drawDown(from, this.#line(fromY), this.#line(y), bar);
      else this.#bend(from, to, this.#line(fromY), this.#line(y));
    }
  }

  /** Of two strands on one level the upper goes to the right. */
  #level(y: number, isRight: boolean): number {
    return this.#line(y, isRight ? Math.floor : Math.ceil);
  }

  #drawDown(column: number, one: number, other: number, character: string): void {
    for (let line = Math.min(one, other); line <= Math.max(one, other); line++) this.#put(column, line, character);
  }

  #bend(from: number, to: number, start: number, end: number): void {
    const turn = Math.round((start + end) / 2);
    const [isRight, isDown] = [to > from, end > start];
    this.#drawDown(from, start, turn, "│");
    this.#drawDown(to, turn, end, "│");
    this.#put(Math.min(from, to), turn, "─".repeat(Math.abs(to - from) + 1));
    this.#put(from, turn, isDown ? (isRight ? "└" : "┘") : isRight ? "┌" : "┐");
    this.#put(to, turn, isDown ? (isRight ? "┐" : "┌") : isRight ? "┘" : "└");
  }

  #drawEnd({ points, fate, isDown }: Strand): void {
    const [[fromX, fromY], [x, y]] = points.slice(-2) as [readonly [number, number], readonly [number, number]];
    const [column, line] = [this.#column(x), fromY === y ? this.#level(y, isDown) : this.#line(y)];
    const isLost = fate === "dropped" || fate === "vanished";
    if (fromY === y) this.#put(column - Math.sign(x - fromX), line, isLost ? "X" : x > fromX ? ">" : "<");
    else
      this.#put(column, fate === "vanished" ? line : line - Math.sign(y - fromY), isLost ? "X" : y > fromY ? "▼" : "▲");
  }

  /** Of the row at `y`, the line of its nearer edge: beside what runs between two boxes. */
  #borderNear(y: number): number {
    const row = this.#layout.rows.find((one) => one.y <= y && y <= one.y + one.height) as Area;
    return this.#line(y < row.y + row.height / 2 ? row.y : row.y + row.height);
  }

  #drawLabel({ x, y, anchor, count, port }: PlacedLabel): void {
    const line = anchor === "middle" ? this.#borderNear(y) : this.#line(y) - 1;
    for (const [i, text] of [count, port].entries()) {
      const column = this.#column(x);
      const start =
        anchor === "end" ? column - text.length : anchor === "start" ? column + 1 : column - text.length / 2;
      this.#put(Math.round(start), line + i, text);
    }
  }
}

const heads = ["", "scenario", "round trip", "expected", "seen"];

/** A line for each result; under those that are not as expected, why. The last line says how many are. */
export function tableText(results: readonly Result[]): string[] {
  const rows = results.map(({ scenario: { name, expected }, roundTrip, outcome, passed }) => [
    passed ? "ok" : "NOT OK",
    name,
    `${roundTrip} ms`,
    expected,
    outcome,
  ]);
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => (row[i] as string).length)));
  const format = (row: readonly string[]) => row.map((cell, i) => cell.padEnd(widths[i] as number)).join("  ");
  const lines = results.flatMap(({ passed, why }, i) => {
    const reasons = passed ? [] : wrap(why, columns - 8).map((line) => `        ${line}`);
    return [format(rows[i] as string[]), ...reasons];
  });
  return [format(heads), ...lines, "", summarize(results)].map((line) => line.trimEnd());
}
