/** Makes two interfaces twice, by the `ip` that is named, and says each time what of them a helper may use that was given `pa`. */
import { execFileSync } from "node:child_process";
import { AllowedInterfaces } from "../../../../src/node/datapath/ebpf/allowed-interfaces.ts";

const program = process.argv[2]!;
const ip = (words: string) => execFileSync(program, words.split(" "), { encoding: "utf8" });
const indexOf = (name: string) => (JSON.parse(ip(`-j link show ${name}`)) as [{ ifindex: number }])[0].ifindex;

const allowed = new AllowedInterfaces(["pa", "none"]);
const said: (string | undefined)[] = [];
for (let i = 0; i < 2; i++) {
  ip("link add pa type veth peer name pb");
  for (const name of ["pa", "pb", "lo"]) said.push(allowed.refusalOf(indexOf(name)));
  ip("link del pa");
}
allowed.close();
process.stdout.write(JSON.stringify(said.map((refusal) => refusal === undefined)));
