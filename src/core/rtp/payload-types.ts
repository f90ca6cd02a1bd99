/** Payload types whose codec needs no words (RFC 3551 §6, tables 4 and 5). */

export interface StaticPayload {
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
}

const audio = (name: string, clockRate = 8000, channels = 1): StaticPayload => ({ name, clockRate, channels });
const video = (name: string): StaticPayload => ({ name, clockRate: 90_000, channels: 1 });

/** RFC 3551 §4.5.2: G.722 samples at 16 kHz, and its clock rate is 8000 by an old mistake that stays. */
const STATIC: ReadonlyMap<number, StaticPayload> = new Map([
  [0, audio("PCMU")],
  [3, audio("GSM")],
  [4, audio("G723")],
  [5, audio("DVI4")],
  [6, audio("DVI4", 16_000)],
  [7, audio("LPC")],
  [8, audio("PCMA")],
  [9, audio("G722")],
  [10, audio("L16", 44_100, 2)],
  [11, audio("L16", 44_100)],
  [12, audio("QCELP")],
  [13, audio("CN")],
  [14, audio("MPA", 90_000)],
  [15, audio("G728")],
  [16, audio("DVI4", 11_025)],
  [17, audio("DVI4", 22_050)],
  [18, audio("G729")],
  [25, video("CelB")],
  [26, video("JPEG")],
  [28, video("nv")],
  [31, video("H261")],
  [32, video("MPV")],
  [33, video("MP2T")],
  [34, video("H263")],
]);

export function staticPayload(payloadType: number): StaticPayload | undefined {
  return STATIC.get(payloadType);
}
