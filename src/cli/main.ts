#!/usr/bin/env node
/** `postern`: what has to be so before the program itself is read. */
import { setFlagsFromString } from "node:v8";

if (Number(process.versions.node.split(".")[0]) < 24) {
  console.error(`postern: This is Node ${process.versions.node}, and Postern needs 24 or later.`);
  process.exit(1);
}

// Packets are short-lived, and what survives them is small, so a large young generation is memory for nothing: kept at its
// first size, a relay with 10,000 allocations takes half, and packets cost the same. Reading the program is what it would
// grow by first.
setFlagsFromString("--semi-space-growth-factor=1");

await import("./program.ts");
