/**
 * Which way down the picture each thread takes. The hosts of the internet stand beside one another with the threads that
 * hang on them; a lane beside them is for threads that pass. Of all orders the one with the fewest bends is taken.
 */
import { describePorts, type HostRow, type Run, type Scene, type Thread } from "./scene.ts";

export interface Label {
  /** The space between rows `gap` and `gap + 1`. */
  readonly gap: number;
  readonly count: string;
  readonly port: string;
  /** It keeps away from where its packets end. */
  readonly besideCross: boolean;
}

export interface Column {
  readonly thread: Thread;
  readonly down: readonly Label[];
  readonly up: readonly Label[];
  /** What its labels need to the left and to the right of it. */
  readonly left: number;
  readonly right: number;
}

export interface Cell {
  /** Undefined: the lane of those that pass. */
  readonly host: string | undefined;
  readonly above: readonly Column[];
  readonly below: readonly Column[];
  /** In `above` and `below` alike. */
  readonly through: readonly Column[];
}

export interface PlacedCell extends Cell {
  readonly x: number;
  readonly width: number;
}

/** Columns stand on it, so that a terminal's characters can. */
export const grid = 5;

/** How much room text takes. */
export interface Metrics {
  /** A character of a count, of a port. */
  readonly count: number;
  readonly port: number;
  readonly margin: number;
  readonly leastBox: number;
}

/** What there is room for. */
export interface Frame {
  readonly x: number;
  readonly width: number;
  readonly metrics: Metrics;
}

const leastLink = 36;

/** Labels of a run, one for each space that it crosses or the two ends of it. */
export function labelsOf(thread: Thread, run: Run, internet: number): Label[] {
  const isDown = run.to > run.from;
  const first = isDown ? run.from : run.from - 1;
  const last = isDown ? run.to - 1 : run.to;
  const count = describeCount(thread, run);
  return [...new Set([first, last])].map((gap) => {
    // The host inside, whose port the gateways change.
    const near = gap < internet === isDown ? run.source : run.destination;
    const besideCross = run.fate === "vanished";
    return { gap, count, port: besideCross ? `to ${run.destination[0]}` : describePorts(near), besideCross };
  });
}

function columnOf(thread: Thread, internet: number, metrics: Metrics): Column {
  const labels = (isDown: boolean): Label[] =>
    thread.runs
      .filter(({ from, to }) => to !== from && to > from === isDown)
      .flatMap((run) => labelsOf(thread, run, internet));
  const down = labels(true);
  // A port is said once.
  const up = labels(false).map((label) => {
    const other = down.find(({ gap }) => gap === label.gap);
    return other?.port === label.port ? { ...label, port: "" } : label;
  });
  return { thread, down, up, left: widthOf(down, metrics), right: widthOf(up, metrics) };
}

function widthOf(labels: readonly Label[], metrics: Metrics): number {
  const wide = labels.map(({ count, port, besideCross }) => {
    return (besideCross ? 4 : 2) * grid + Math.max(count.length * metrics.count, port.length * metrics.port);
  });
  return Math.max(3 * grid, ...wide) + metrics.margin;
}

function total(columns: readonly Column[]): number {
  return columns.reduce((sum, { left, right }) => sum + left + right, 0);
}

function touches({ thread }: Column, isAbove: boolean, internet: number): boolean {
  return thread.runs.some(({ from, to }) => (isAbove ? Math.min(from, to) < internet : Math.max(from, to) > internet));
}

function cellsOf({ rows, internet }: Scene, threads: readonly Thread[], metrics: Metrics): Cell[] {
  const columns = threads.filter(({ runs }) => runs.some(({ from, to }) => from !== to));
  const all = columns.map((thread) => columnOf(thread, internet, metrics));
  const { hosts } = rows[internet] as HostRow;
  const names = hosts.map(({ name }) => name);
  return [...names, undefined].map((host) => {
    const anchor = (column: Column) => names.find((name) => column.thread.ends.includes(name));
    const own = all.filter((column) => anchor(column) === host);
    const [above, below] = [true, false].map((is) => own.filter((column) => touches(column, is, internet)));
    const through = host === undefined ? own.filter((one) => above?.includes(one) && below?.includes(one)) : [];
    const only = (some: readonly Column[] = []) => some.filter((one) => !through.includes(one));
    return { host, above: only(above), below: only(below), through };
  });
}

function needOf({ host, above, below, through }: Cell, leastBox: number): number {
  const columns = total(through) + Math.max(total(above), total(below));
  return host === undefined ? columns : Math.max(columns, leastBox);
}

/** The cells from left to right, or undefined when they do not fit in the frame. */
export function placeCells(scene: Scene, threads: readonly Thread[], frame: Frame): PlacedCell[] | undefined {
  const { metrics } = frame;
  const needs = new Map(cellsOf(scene, threads, metrics).map((cell) => [cell, needOf(cell, metrics.leastBox)]));
  const cells = [...needs.keys()].filter((cell) => cell.host !== undefined || (needs.get(cell) as number) > 0);
  const links = threads.filter(isLink);
  const orders = permutations(cells).flatMap((order) => {
    const placed = placeInOrder(order, needs, links, frame);
    return placed === undefined ? [] : { placed, cost: costOf(scene, placed, links, frame) };
  });
  return orders.toSorted((one, other) => one.cost - other.cost)[0]?.placed;
}

function placeInOrder(
  order: readonly Cell[],
  needs: ReadonlyMap<Cell, number>,
  links: readonly Thread[],
  { x, width, metrics }: Frame,
): PlacedCell[] | undefined {
  const gaps = order.map(({ host }, i) => linkSpace(links, host, order[i - 1]?.host, metrics));
  const used = [...gaps, ...order.map((cell) => needs.get(cell) as number)].reduce((sum, one) => sum + one, 0);
  if (used > width) return undefined;
  let at = x;
  return order.map((cell, i) => {
    const one = {
      ...cell,
      x: at + (gaps[i] as number),
      width: (needs.get(cell) as number) + (width - used) / order.length,
    };
    at = one.x + one.width;
    return one;
  });
}

/** Between two hosts of the internet that stand side by side; zero when they do not speak to each other. */
function linkSpace(
  links: readonly Thread[],
  one: string | undefined,
  other: string | undefined,
  metrics: Metrics,
): number {
  const own = links.filter(({ ends }) => ends.some((end) => end === one) && ends.some((end) => end === other));
  const labels = own.flatMap((thread) => thread.runs.map((run) => describeCount(thread, run).length * metrics.count));
  return labels.length === 0 ? 0 : Math.max(leastLink, ...labels.map((wide) => wide + 2 * grid));
}

/** Whether nothing stands between the two; of a row that they do not stand in that is not asked. */
export function joinsNeighbours({ ends: [one, other] }: Thread, order: readonly (string | undefined)[]): boolean {
  return one === undefined || !order.includes(one) || Math.abs(order.indexOf(one) - order.indexOf(other)) === 1;
}

export function describeCount({ protocol }: Thread, { packets }: Run): string {
  return `${protocol === "tcp" ? "TCP " : ""}${packets}`;
}

export function isLink({ runs }: Thread): boolean {
  return runs.every(({ from, to }) => from === to);
}

/** How far threads lie from their hosts; neighbours that talk must stand side by side. */
function costOf(
  { rows, internet }: Scene,
  cells: readonly PlacedCell[],
  links: readonly Thread[],
  { x, width }: Frame,
): number {
  const order = cells.map(({ host }) => host);
  const apart = links.filter((link) => !joinsNeighbours(link, order));
  const bends = columnCentres(cells).flatMap(({ column, x: at }) =>
    [rows[0], rows.at(-1)].map((row, i) => {
      const hosts = row?.kind === "hosts" && i * (rows.length - 1) !== internet ? row.hosts : [];
      const index = hosts.findIndex(({ name }) => column.thread.ends.includes(name));
      if (index < 0) return 0;
      const share = width / hosts.length;
      return Math.max(0, Math.abs(at - (x + share * (index + 0.5))) - share / 2);
    }),
  );
  return apart.length * 10_000 + bends.reduce((sum, one) => sum + one, 0);
}

/** Where the threads of each cell run: beside one another, with room for their labels. */
export function columnCentres(cells: readonly PlacedCell[]): { column: Column; x: number }[] {
  return cells.flatMap(({ x, width, above, below, through }) => {
    const only = Math.max(total(above), total(below));
    const spread = (columns: readonly Column[], from: number, room: number) => {
      const spare = (room - total(columns)) / Math.max(1, columns.length);
      let at = from;
      return columns.map((column) => {
        const centre = at + spare / 2 + column.left;
        at += column.left + column.right + spare;
        return { column, x: Math.round(centre / grid) * grid };
      });
    };
    const rest = through.length === 0 ? width : only === 0 ? 0 : (width * only) / (only + total(through));
    const passing = spread(through, x + rest, width - rest);
    // A thread on a host of the internet may hang on it from both sides.
    return [...spread(above, x, rest), ...spread(below, x, rest), ...passing];
  });
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
