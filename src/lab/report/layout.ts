/** Where everything in the picture stands, in its own units; nothing overlaps. */
import {
  type Column,
  columnCentres,
  describeCount,
  type Frame,
  grid,
  isLink,
  joinsNeighbours,
  type Label,
  type Metrics,
  type PlacedCell,
  placeCells,
} from "./columns.ts";
import type { Area, Box, Layout, PlacedLabel, Strand, Wall, Zone } from "./placed.ts";
import {
  describeGateway,
  type GatewayRow,
  type HostRow,
  type Row,
  type Run,
  type Scene,
  shownAddresses,
  type Thread,
} from "./scene.ts";

/** Beside the content: the names of the zones, and the edge. */
const before = 30;
const after = 10;
const gapHeight = 46;
const bendHeight = 26;
const lineHeight = 15;
const apart = grid;
const usualBox = 128;
const neighbourSpace = 96;

export interface LayoutOptions {
  /** The first in which everything has room is taken; in the last, what has none is left out. */
  readonly widths: readonly number[];
  readonly metrics: Metrics;
}

export const drawn: LayoutOptions = {
  widths: [480, 560, 640, 720],
  metrics: { count: 7.6, port: 6.8, margin: 6, leastBox: 96 },
};

export function layOut(scene: Scene, { widths, metrics }: LayoutOptions = drawn): Layout {
  const frames = widths.map((width): Frame => ({ x: before, width: width - before - after, metrics }));
  for (let count = scene.threads.length; ; count--) {
    const threads = scene.threads.slice(0, count);
    const fitting = frames.flatMap((frame) => {
      const cells = placeCells(scene, threads, frame);
      return cells === undefined && count > 0 ? [] : [new Plot(scene, threads, cells ?? [], frame)];
    });
    const best = fitting.find((plot) => plot.showsAll) ?? fitting.at(-1);
    if (best !== undefined) return best.layout();
  }
}

class Plot {
  readonly #scene: Scene;
  readonly #frame: Frame;
  readonly #cells: readonly PlacedCell[];
  readonly #columns: readonly { column: Column; x: number }[];
  readonly #links: readonly Thread[];
  readonly #hidden: number;
  readonly #boxes: Map<string, Box> = new Map();
  readonly #areas: Area[] = [];

  constructor(scene: Scene, threads: readonly Thread[], cells: readonly PlacedCell[], frame: Frame) {
    this.#scene = scene;
    this.#frame = frame;
    this.#cells = cells;
    this.#columns = columnCentres(cells);
    const orders = [cells.map(({ host }) => host), ...scene.rows.flatMap(namesInSite)];
    const links = threads.filter(isLink);
    this.#links = links.filter((link) => orders.every((order) => joinsNeighbours(link, order)));
    this.#hidden = scene.threads.length - threads.length + links.length - this.#links.length + scene.elsewhere;
    let y = 12;
    for (const [i, row] of scene.rows.entries()) {
      const height = heightOf(row);
      this.#areas.push({ x: frame.x, y, width: frame.width, height });
      if (row.kind === "hosts") this.#placeHosts(row, y, height);
      y += height + this.#gapAfter(i);
    }
  }

  get showsAll(): boolean {
    return this.#hidden === this.#scene.elsewhere;
  }

  layout(): Layout {
    const last = this.#areas.at(-1) as Area;
    return {
      width: this.#width,
      height: last.y + last.height + 12,
      rows: this.#areas,
      zones: this.#zones(),
      boxes: [...this.#boxes.values()],
      walls: this.#scene.rows.flatMap((row, i) => (row.kind === "gateway" ? this.#wall(row, i) : [])),
      strands: [
        ...this.#columns.flatMap((one) => this.#strands(one)),
        ...this.#links.flatMap((one) => this.#link(one)),
      ],
      labels: [
        ...this.#columns.flatMap((one) => this.#labels(one)),
        ...this.#links.flatMap((one) => this.#linkLabels(one)),
      ],
      hidden: this.#hidden,
    };
  }

  get #width(): number {
    return before + this.#frame.width + after;
  }

  #gapAfter(i: number): number {
    if (i === this.#scene.rows.length - 1) return 0;
    return gapHeight + (this.#bends(i) || this.#bends(i + 1) ? bendHeight : 0);
  }

  /** Two hosts of a site share its row: their threads may have to bend. */
  #bends(i: number): boolean {
    const row = this.#scene.rows[i] as Row;
    return row.kind === "hosts" && row.site !== undefined && row.hosts.length > 1 && this.#columns.length > 0;
  }

  #placeHosts(row: HostRow, y: number, height: number): void {
    const areas = row.site === undefined ? this.#internetAreas(row) : this.#siteAreas(row);
    for (const [i, host] of row.hosts.entries()) {
      const area = areas[i] as Pick<Area, "x" | "width">;
      this.#boxes.set(host.name, { ...area, y, height, name: host.name, lines: shownAddresses(host) });
    }
  }

  #internetAreas({ hosts }: HostRow): Pick<Area, "x" | "width">[] {
    return hosts.map(({ name }) => {
      const cell = this.#cells.find(({ host }) => host === name) as PlacedCell;
      const own = this.#columns.filter(({ column }) => [...cell.above, ...cell.below].includes(column));
      const widest = cell.width - 8;
      return boxAround(own, cell.x + cell.width / 2, Math.min(widest, usualBox), { x: cell.x + 4, width: widest });
    });
  }

  #siteAreas({ hosts }: HostRow): Pick<Area, "x" | "width">[] {
    const [only] = hosts;
    if (only !== undefined && hosts.length === 1) {
      const own = this.#columns.filter(({ column }) => column.thread.ends.includes(only.name));
      return [boxAround(own, this.#frame.x + this.#frame.width / 2, 160, this.#frame)];
    }
    const space = hosts.some(({ name }) => this.#isLinked(name)) ? neighbourSpace : 24;
    const share = (this.#frame.width - space * (hosts.length - 1)) / hosts.length;
    return hosts.map((_, i) => ({ x: this.#frame.x + i * (share + space), width: share }));
  }

  #isLinked(name: string): boolean {
    return this.#links.some(({ ends }) => ends.includes(name));
  }

  #wall({ gateway, insideIsAbove }: GatewayRow, i: number): Wall {
    const { inside, outside } = gateway;
    const addresses = insideIsAbove ? ([inside, outside] as const) : ([outside, inside] as const);
    return { ...(this.#areas[i] as Area), gateway, facts: describeGateway(gateway), addresses };
  }

  /** From the middle of one wall to the middle of the next. */
  #zones(): Zone[] {
    const { rows, internet } = this.#scene;
    const edges = rows.flatMap((row, i) => (row.kind === "gateway" ? middle(this.#areas[i] as Area) : []));
    const last = this.#areas.at(-1) as Area;
    const bounds = [2, ...edges, last.y + last.height + 10];
    return bounds.slice(1).map((to, i) => {
      const y = bounds[i] as number;
      const inside = rows.filter((_, j) => within(this.#areas[j] as Area, y, to));
      const hosts = inside.find((row) => row.kind === "hosts");
      const isInternet = hosts === rows[internet];
      const name = isInternet ? "internet" : (hosts?.site ?? "provider");
      return { x: 2, y, width: this.#width - 4, height: to - y, name, isInternet };
    });
  }

  #strands({ column: { thread }, x }: { column: Column; x: number }): Strand[] {
    return thread.runs
      .filter(({ from, to }) => from !== to)
      .map((run) => {
        const isDown = run.to > run.from;
        const at = x + (isDown ? -apart : apart);
        const [start, end] = [this.#edge(run.from, isDown), this.#edge(run.to, !isDown)];
        const stop = run.fate === "vanished" ? start + (end - start) * 0.62 : end;
        return { thread, isDown, fate: run.fate, points: this.#bent(run, at, x - at, start, stop) };
      });
  }

  /** Its ends lie within the boxes of their hosts. `beside`: from it to its column's centre. */
  #bent({ fromNode, toNode, fate }: Run, at: number, beside: number, start: number, stop: number): [number, number][] {
    const sign = Math.sign(stop - start);
    const port = (node: string): number => this.#port(node, at + beside) - beside;
    const [from, to] = [port(fromNode), fate === "vanished" ? at : port(toNode)];
    const first: [number, number][] =
      from === at
        ? []
        : [
            [from, start],
            [at, start + sign * bendHeight],
          ];
    const last: [number, number][] =
      to === at
        ? []
        : [
            [at, stop - sign * bendHeight],
            [to, stop],
          ];
    return [
      ...(first.length > 0 ? first : [[at, start] as [number, number]]),
      ...(last.length > 0 ? last : [[at, stop] as [number, number]]),
    ];
  }

  #port(node: string, at: number): number {
    const box = this.#boxes.get(node);
    if (box === undefined) return at;
    return Math.min(Math.max(at, box.x + 14), box.x + box.width - 14);
  }

  #edge(row: number, isLower: boolean): number {
    const { y, height } = this.#areas[row] as Area;
    return isLower ? y + height : y;
  }

  #labels({ column: { down, up }, x }: { column: Column; x: number }): PlacedLabel[] {
    const place = (label: Label, isDown: boolean): PlacedLabel => ({
      x: x + (isDown ? -1 : 1) * (label.besideCross ? 4 : 2) * grid,
      y: this.#labelTop(label.gap),
      anchor: isDown ? "end" : "start",
      count: label.count,
      port: label.port,
    });
    return [...down.map((label) => place(label, true)), ...up.map((label) => place(label, false))];
  }

  /** Away from where threads bend: beside the gateway. */
  #labelTop(gap: number): number {
    const top = this.#edge(gap, true);
    const bends = this.#bends(gap) ? bendHeight : 0;
    return top + bends + gapHeight / 2 - 2;
  }

  #link(thread: Thread): Strand[] {
    return thread.runs.map((run) => {
      const [from, to] = [this.#boxes.get(run.fromNode) as Box, this.#boxes.get(run.toNode)];
      const isRight = (to?.x ?? 0) > from.x;
      const y = middle(from) + (isRight ? -apart : apart);
      const start = isRight ? from.x + from.width : from.x;
      const end = to === undefined ? start + 40 : isRight ? to.x : to.x + to.width;
      return {
        thread,
        isDown: isRight,
        fate: run.fate,
        points: [
          [start, y],
          [end, y],
        ],
      };
    });
  }

  #linkLabels(thread: Thread): PlacedLabel[] {
    return this.#link(thread).map(({ points, isDown }, i) => {
      const [[start, y], [end]] = points as [[number, number], [number, number]];
      const count = describeCount(thread, thread.runs[i] as Run);
      return { x: (start + end) / 2, y: isDown ? y - 8 : y + 16, anchor: "middle", count, port: "" };
    });
  }
}

function boxAround(
  columns: readonly { column: Column; x: number }[],
  centre: number,
  least: number,
  bounds: Pick<Area, "x" | "width">,
): Pick<Area, "x" | "width"> {
  const xs = columns.map(({ x }) => x);
  const [from, to] = xs.length === 0 ? [centre, centre] : [Math.min(...xs), Math.max(...xs)];
  const wide = Math.min(Math.max(least, to - from + 56), bounds.width);
  const x = Math.min(Math.max((from + to - wide) / 2, bounds.x), bounds.x + bounds.width - wide);
  return { x, width: wide };
}

function namesInSite(row: Row): string[][] {
  return row.kind === "hosts" && row.site !== undefined ? [row.hosts.map(({ name }) => name)] : [];
}

function heightOf(row: Row): number {
  if (row.kind === "hosts" && row.hosts.length === 0) return 0;
  if (row.kind === "gateway") return 16 + lineHeight * (1 + describeGateway(row.gateway).length);
  return 16 + lineHeight * (1 + Math.max(1, ...row.hosts.map((host) => shownAddresses(host).length)));
}

function middle({ y, height }: Area): number {
  return y + height / 2;
}

function within({ y, height }: Area, from: number, to: number): boolean {
  return y >= from && y + height <= to;
}
