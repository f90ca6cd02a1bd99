/**
 * `npm run bench -- hot-loops`: what the loops that run for every packet and every request cost, without sockets. Machines
 * differ, and so do minutes, so nothing is said in seconds: a loop's figure is how many times as long it takes as a loop
 * that never changes, run in turns with it, the best of many turns each. Beside it, what it leaves to collect.
 *
 * The figures of the last release are in figures.json; `--document` puts those of this run there.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseMessage } from "../../src/core/sip/message/parse.ts";
import { markdown, number } from "../report.ts";
import { spread } from "../statistics.ts";
import { TurnLoops } from "./turn-loops.ts";

const file = join(import.meta.dirname, "figures.json");
const turns = 100;
const calls = 400;
/** So few that a collection in between is rare. */
const weighedCalls = 20;
/** By then the compiler has done with it. */
const warmupMs = 400;

interface Figure {
  /** Times as long as the loop that never changes. */
  readonly cost: number;
  /** A call's. */
  readonly bytes: number;
}

interface Figures {
  readonly release: string;
  readonly loops: Readonly<Record<string, Figure>>;
}

const invite = Buffer.from(
  [
    "INVITE sip:bob@example.com SIP/2.0",
    "Via: SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK-524287-1---a1b2c3d4e5f6;rport",
    "Max-Forwards: 70",
    "Contact: <sip:alice@10.0.0.7:5060;transport=udp>",
    'To: "Bob" <sip:bob@example.com>',
    'From: "Alice" <sip:alice@example.com>;tag=a73kszlfl',
    "Call-ID: 1j9FpLxk3uxtm8tn@10.0.0.7",
    "CSeq: 2 INVITE",
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n"),
);

const mixed = Uint32Array.from({ length: 1_024 }, (_, i) => i * 2_654_435_761);

/** Integers, memory and branches, as in the loops, and never to be changed: all figures are multiples of it. */
function unchanging(): number {
  let h = 1;
  for (let i = 0; i < 256; i++) {
    h = Math.imul(h ^ (mixed[(h >>> 8) & 1_023] as number), 0x9e3779b1);
    if ((h & 7) === 0) h ^= h >>> 15;
  }
  return h;
}

function nanoseconds(work: () => void): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) work();
  return Number(process.hrtime.bigint() - start) / calls;
}

function warmUp(work: () => void): void {
  for (const start = performance.now(); performance.now() < start + warmupMs; ) work();
}

function nothing(): void {}

function heapBytes(work: () => void): number {
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < weighedCalls; i++) work();
  return (process.memoryUsage().heapUsed - before) / weighedCalls;
}

function measure(work: () => void): Figure & { readonly nanoseconds: number } {
  warmUp(work);
  warmUp(unchanging);
  let best = Number.POSITIVE_INFINITY;
  let unit = Number.POSITIVE_INFINITY;
  const bytes: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    unit = Math.min(unit, nanoseconds(unchanging));
    best = Math.min(best, nanoseconds(work));
    bytes.push(Math.max(0, heapBytes(work) - heapBytes(nothing)));
  }
  return { cost: best / unit, bytes: Math.round(spread(bytes).median), nanoseconds: best };
}

export async function benchHotLoops({ document }: { readonly document: boolean }): Promise<void> {
  const loops: Record<string, () => void> = {
    ...new TurnLoops().loops(),
    "INVITE, parsed": () => void parseMessage(invite.toString("latin1")),
  };
  const before = JSON.parse(await readFile(file, "utf8")) as Figures;
  const now: Record<string, Figure> = {};
  const rows = Object.entries(loops).map(([name, work]) => {
    const { nanoseconds: each, ...figure } = measure(work);
    now[name] = { cost: Number(figure.cost.toPrecision(3)), bytes: figure.bytes };
    const then = before.loops[name];
    return [
      name,
      number(each),
      number(figure.cost, 2),
      then === undefined ? "-" : number(then.cost, 2),
      then === undefined ? "-" : `${number(100 * (figure.cost / then.cost - 1))} %`,
      number(figure.bytes),
      then === undefined ? "-" : number(then.bytes),
    ];
  });
  const head = ["hot loop", "ns here", "cost", `in ${before.release}`, "change", "bytes", `in ${before.release}`];
  console.log(markdown(head, rows));
  if (document) await writeFile(file, `${JSON.stringify({ release: await release(), loops: now }, undefined, 2)}\n`);
}

async function release(): Promise<string> {
  const manifest = await readFile(join(import.meta.dirname, "../../package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
