/**
 * Loads the program and shows it what comes in on the interfaces that are named, by filters; says so, and detaches when it
 * is told to go on. With `--as NAME` it is a filter with that name on one interface, and stays.
 */
import { readFileSync } from "node:fs";
import { LoadedProgram } from "../../../../src/node/datapath/ebpf/loaded-program.ts";
import { TrafficControl } from "../../../../src/node/sys/traffic-control.ts";

if (process.argv[2] === "--as") {
  const [name, index] = process.argv.slice(3) as [string, string];
  new TrafficControl().add({ interface: Number(index), handle: 7, name }, new LoadedProgram("tcx").descriptor);
  process.exit(0);
}
const program = new LoadedProgram("clsact");
for (const index of process.argv.slice(2).map(Number)) {
  program.attach(index);
  program.attach(index);
}
process.stdout.write("attached\n");
readFileSync(0);
program.close();
process.stdout.write("detached\n");
