/** Results for a terminal: plain characters, at most 100 columns. */
import type { Result } from "../scenario.ts";

/** The network and the path that packets took in it. */
export function drawText({ plan: { hosts, gateways } }: Result): string[] {
  return [
    ...hosts.map(({ name, addresses }) => `${name}  ${addresses.join(", ")}`),
    ...gateways.map(({ name, declaration, inside, outside }) => `${name}  ${declaration.nat}: ${inside} | ${outside}`),
  ];
}

export function tableText(results: readonly Result[]): string[] {
  const rows = results.map(({ scenario: { name, expected }, roundTrip, outcome, passed }) => [
    passed ? "ok" : "NOT OK",
    name,
    `${roundTrip} ms`,
    expected,
    outcome,
  ]);
  const all = [["", "scenario", "round trip", "expected", "seen"], ...rows];
  const widths = all[0]?.map((_, i) => Math.max(...all.map((row) => (row[i] as string).length))) ?? [];
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join("  ")
      .trimEnd(),
  );
}
