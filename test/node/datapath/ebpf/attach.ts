/**
 * Loads the program and shows it what comes in on the interfaces that are named, by filters; says so, and detaches when it
 * is told to go on.
 */
import { readFileSync } from "node:fs";
import { LoadedProgram } from "../../../../src/node/datapath/ebpf/loaded-program.ts";

const program = new LoadedProgram("clsact");
for (const index of process.argv.slice(2).map(Number)) {
  program.attach(index);
  program.attach(index);
}
process.stdout.write("attached\n");
readFileSync(0);
program.close();
process.stdout.write("detached\n");
