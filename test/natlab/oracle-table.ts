/**
 * The oracle's answers as a table, to be read and agreed with by hand. After a change that was meant:
 *
 *   node test/natlab/oracle-table.ts > test/natlab/oracle-table.txt
 */
import { type Dependence, type NatBehavior, natBehavior, type PortAssignment } from "../../src/natlab/behavior.ts";
import { canHairpin, canPunch, discovery } from "../../src/natlab/oracle.ts";

export const dependences: readonly Dependence[] = [
  "endpoint-independent",
  "address-dependent",
  "address-and-port-dependent",
];
export const assignments: readonly PortAssignment[] = [
  { kind: "preservation" },
  { kind: "overloading" },
  { kind: "sequential", step: 3 },
  { kind: "random" },
];
export const hairpins: readonly NatBehavior["hairpin"][] = ["none", "internal", "external"];

const short: Readonly<Record<Dependence, string>> = {
  "endpoint-independent": "EI",
  "address-dependent": "AD",
  "address-and-port-dependent": "APD",
};

export const pairs: readonly Pick<NatBehavior, "mapping" | "filtering">[] = dependences.flatMap((mapping) =>
  dependences.map((filtering) => ({ mapping, filtering })),
);

function name({ mapping, filtering }: Pick<NatBehavior, "mapping" | "filtering">): string {
  return `${short[mapping]}/${short[filtering]}`;
}

function rows(lines: readonly (readonly (string | number)[])[], widths: readonly number[]): string {
  return lines
    .map((line) =>
      line
        .map((cell, n) => String(cell).padEnd(widths[n] as number))
        .join(" ")
        .trimEnd(),
    )
    .join("\n");
}

function discoveryRows(): string {
  const lines = pairs.flatMap((pair) =>
    assignments.map((ports) => {
      const seen = hairpins.map((hairpin) => discovery(natBehavior({ ...pair, ports, hairpin, parity: false })));
      const [first] = seen;
      if (first === undefined) return [];
      const echo = seen.map(({ hairpin }) => hairpin);
      return [name(pair), ports.kind, name(first), first.classic, first.ports, ...echo];
    }),
  );
  const head = ["declared", "ports", "observed", "RFC 3489 name", "new ports", "none", "internal", "external"];
  return rows([head, ...lines], [8, 12, 8, 20, 13, 8, 8, 8]);
}

function punchRows(): string {
  const ports = { kind: "random" } as const;
  const lines = pairs.map((a) => [
    name(a),
    ...pairs.map((b) => (canPunch({ ...a, ports }, { ...b, ports }) ? "yes" : "-")),
  ]);
  return rows([["", ...pairs.map(name)], ...lines], new Array(10).fill(7));
}

function hairpinRows(): string {
  const ports = { kind: "random" } as const;
  const lines = pairs.map((pair) => [
    name(pair),
    ...hairpins.map((hairpin) => (canHairpin(natBehavior({ ...pair, ports, hairpin })) ? "yes" : "-")),
  ]);
  return rows([["", ...hairpins], ...lines], [8, 8, 8, 8]);
}

export function oracleTable(): string {
  return `What must be observed of NATs: mapping/filtering, each endpoint-independent (EI), address-dependent (AD) or
address-and-port-dependent (APD). See src/natlab/oracle.ts for the reasons.

Discovery. "new ports": what new mappings show. The last three columns: the source that a socket sees of its own packets,
by the hairpinning declared.

${discoveryRows()}

Two hosts behind two NATs, each knowing the other's outside address as a third party saw it: do they meet?

${punchRows()}

Two hosts behind one NAT, by its hairpinning.

${hairpinRows()}
`;
}

if (import.meta.main) process.stdout.write(oracleTable());
