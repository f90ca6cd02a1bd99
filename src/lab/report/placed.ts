/** A picture's parts where they stand, in its own units. */
import type { PlannedGateway } from "../topology.ts";
import type { Fate, Thread } from "./scene.ts";

export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Box extends Area {
  readonly name: string;
  readonly lines: readonly string[];
}

export interface Wall extends Area {
  readonly gateway: PlannedGateway;
  readonly facts: readonly string[];
  /** At its upper and its lower side. */
  readonly addresses: readonly [string, string];
}

export interface Zone extends Area {
  readonly name: string;
  readonly isInternet: boolean;
}

/** A line from one row to the next; it starts at a host's box, and bends to its column before the first label. */
export interface Strand {
  readonly thread: Thread;
  readonly isDown: boolean;
  readonly points: readonly (readonly [number, number])[];
  readonly fate: Fate;
}

export interface PlacedLabel {
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "end" | "middle";
  readonly count: string;
  readonly port: string;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** From the first row to the last. */
  readonly rows: readonly Area[];
  readonly zones: readonly Zone[];
  readonly boxes: readonly Box[];
  readonly walls: readonly Wall[];
  readonly strands: readonly Strand[];
  readonly labels: readonly PlacedLabel[];
  /** Conversations that had no room. */
  readonly hidden: number;
}
