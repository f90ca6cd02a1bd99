/** IPv4 and IPv6 beside each other: which were tried, and what it means when only one works. */
import type { Findings, Measurements } from "./verdict.ts";

type Seen = Pick<Measurements, "families" | "reports">;

const places = { 4: "IPv4", 6: "IPv6" } as const;

function answers({ reports }: Seen, family: 4 | 6): boolean {
  return reports.some((one) => one.family === family && one.servers.some(({ mapped }) => mapped !== undefined));
}

export function judgeFamilies(seen: Seen): Findings {
  const isHalf = answers(seen, 4) && !answers(seen, 6);
  const wasAsked = seen.families.some(({ family, asked }) => family === 6 && asked === "yes");
  if (!isHalf || !wasAsked) return { works: [], fails: [], change: [] };
  return {
    works: [],
    fails: ["Anything over IPv6: this host has an address, and no server answered."],
    change: ["Mend IPv6 in this network, or switch it off: applications lose time on it before they use IPv4."],
  };
}

/** A line for each family that was not asked, where another was. */
export function describeFamilies({ families }: Seen): string[] {
  if (!families.some(({ asked }) => asked === "yes")) return [];
  return families.flatMap(({ family, asked }) => {
    if (asked === "yes") return [];
    const other = places[family === 4 ? 6 : 4];
    const why =
      asked === "no-server"
        ? `not tried: the servers that were named have ${other} addresses only`
        : `this host has no ${places[family]} address to ask from: ${other} only`;
    return [`${places[family]} over UDP`, `  ${"address".padEnd(13)}${why}`];
  });
}
