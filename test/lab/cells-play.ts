/** Plays a script of `cells-script.ts` on some ground, and tells what was heard. */
import type { NatBehavior } from "../../src/natlab/behavior.ts";

export interface Heard {
  readonly text: string;
  /** The name of the socket. */
  readonly by: string;
  /** ADDRESS:PORT. */
  readonly from: string;
}

/** Where packets move: natlab, or namespaces. */
export interface Ground {
  /** ADDRESS:PORT of a socket outside, or, on its own network, inside. */
  addressOf(socket: string): string;
  /** Resolves when `text` has arrived, or will not. */
  send(from: string, to: string, text: string): Promise<void>;
  wait(lifetimes: number): Promise<void>;
  /** Everything until now, also what came later than it should have. */
  readonly heard: readonly Heard[];
}

/** A line of the script, and what came of it. */
export interface Sent {
  readonly line: string;
  readonly from: string;
  /** Undefined: there was nobody to send to. */
  readonly heard: readonly Heard[] | undefined;
}

export async function play(ground: Ground, script: string, nat: string): Promise<Sent[]> {
  const lines = script.split("\n").flatMap((line) => line.trim() || []);
  const texts = new Map<string, { line: string; from: string; isSent: boolean }>();
  for (const [n, line] of lines.entries()) {
    const [from = "", to = ""] = line.split(" > ");
    if (line.startsWith("wait ")) await ground.wait(Number(line.slice(5)));
    else {
      const destination = resolve(ground, texts, to, nat);
      const text = `${n}: ${line}`;
      texts.set(text, { line, from, isSent: destination !== undefined });
      if (destination !== undefined) await ground.send(from, destination, text);
    }
  }
  // What is late has come by then.
  await ground.wait(0.05);
  return [...texts].map(([text, { line, from, isSent }]) => {
    return { line, from, heard: isSent ? ground.heard.filter((one) => one.text === text) : undefined };
  });
}

function resolve(
  ground: Ground,
  texts: ReadonlyMap<string, { from: string }>,
  to: string,
  nat: string,
): string | undefined {
  if (to.startsWith("nat:")) return `${nat}${to.slice(3)}`;
  if (to.startsWith("inside ")) return ground.addressOf(to.slice(7));
  const [whose, seer] = to.split("@") as [string, string?];
  if (seer === undefined) return ground.addressOf(whose);
  return ground.heard.findLast(({ text, by }) => by === seer && texts.get(text)?.from === whose)?.from;
}

/** The NAT's ports, numbered as they first appear. */
class NatPorts {
  readonly #behavior: NatBehavior;
  readonly #names: Map<number, string> = new Map();

  constructor(behavior: NatBehavior) {
    this.#behavior = behavior;
  }

  get all(): number[] {
    return [...this.#names.keys()];
  }

  nameOf(port: number, inside: number): string {
    let name = this.#names.get(port);
    if (name !== undefined) return name;
    name = `nat port ${this.#names.size + 1}${this.#describe(port, inside)}`;
    this.#names.set(port, name);
    return name;
  }

  #describe(port: number, inside: number): string {
    const { ports, portRange } = this.#behavior;
    if (port === inside) return ", kept";
    if (port < portRange.min || port > portRange.max) return ", out of range";
    if (ports.kind !== "sequential") return "";
    const last = this.all.at(-1);
    return last === undefined ? ", the first" : `, +${port - last}`;
  }
}

/**
 * One line for each that was sent, the same for all that behave alike: of a port that is the NAT's choice only its number
 * is told, and whether it is kept, in sequence, or out of the range that was declared. `names` are of other addresses.
 */
export function tell(
  sent: readonly Sent[],
  nat: string,
  behavior: NatBehavior,
  names: ReadonlyMap<string, string>,
): string[] {
  const ports = new NatPorts(behavior);
  const nameOf = (source: string, from: string): string => {
    const port = portOf(source);
    return source === `${nat}:${port}` ? ports.nameOf(port, portOf(from)) : (names.get(source) ?? source);
  };
  const lines = sent.map(({ line, from, heard }) => {
    const arrivals = heard?.map((one) => `${one.by} hears it from ${nameOf(one.from, from)}`).join(", ");
    return `${line}: ${arrivals === undefined ? "to nobody" : arrivals || "lost"}`;
  });
  return [...lines, `new ports: ${patternOf(ports.all)}`];
}

function patternOf(ports: readonly number[]): string {
  const steps = new Set(ports.slice(1).map((port, n) => port - ports[n]!));
  return ports.length > 2 && steps.size === 1 ? "in sequence" : "not in sequence";
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** The lines in which two tales of one script differ, each as both tell it. */
export function differences(one: readonly string[], other: readonly string[]): string[] {
  return one.flatMap((line, n) => {
    const said = other[n] ?? "";
    return line === said ? [] : `${line} | ${said.slice(said.indexOf(": ") + 2)}`;
  });
}
