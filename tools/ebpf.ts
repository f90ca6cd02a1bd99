/**
 * Compiles the program that relays in the kernel, and writes what is needed of it as a module, so that nobody who installs
 * Postern needs a compiler. The bytecode is the same for every machine that is little-endian.
 *
 *   node tools/ebpf.ts            writes src/node/datapath/ebpf/program.ts
 *   node tools/ebpf.ts --check    fails where that is not what the source compiles to
 *
 * Another compiler makes other instructions of the same source: the module says by which it was made, and is compared with
 * what that one makes.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const source = join(root, "src/node/datapath/ebpf/relay.bpf.c");
export const modulePath = join(root, "src/node/datapath/ebpf/program.ts");

/** Debian 12's. */
export const pinnedCompiler = "Debian clang version 14.0.6";

/** What `clang --version` says first; undefined where there is none. */
export function installedCompiler(): string | undefined {
  return spawnSync("clang", ["--version"], { encoding: "utf8" }).stdout?.split("\n")[0];
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${error?.message ?? stderr}`);
  return stdout;
}

function compile(): Buffer {
  const directory = mkdtempSync(join(tmpdir(), "postern-ebpf-"));
  const object = join(directory, "relay.o");
  // Debian keeps asm/types.h by architecture.
  const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
  // v3 would put halves of numbers where pointers were, which the verifier lets nobody do without CAP_PERFMON.
  const headers = `-I/usr/include/${architecture}-linux-gnu`;
  try {
    run("clang", ["-O2", "-target", "bpfel", "-mcpu=v2", "-Wall", "-Werror", headers, "-c", source, "-o", object]);
    return readFileSync(object);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Section {
  readonly index: number;
  readonly name: string;
  readonly data: Buffer;
  /** The section of its names. */
  readonly link: number;
}

interface ObjectSymbol {
  readonly name: string;
  readonly section: number;
  readonly value: number;
}

/** An object file of 64 bits (ELF): its sections, and what its symbols are in them. */
class ObjectFile {
  readonly #bytes: Buffer;
  readonly sections: readonly Section[];
  readonly symbols: readonly ObjectSymbol[];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    const at = Number(bytes.readBigUInt64LE(0x28));
    const headers = Array.from({ length: bytes.readUInt16LE(0x3c) }, (_, i) => at + 64 * i);
    const names = this.#dataOf(headers[bytes.readUInt16LE(0x3e)]!);
    this.sections = headers.map((header, index) => ({
      index,
      name: text(names, bytes.readUInt32LE(header)),
      data: this.#dataOf(header),
      link: bytes.readUInt32LE(header + 40),
    }));
    const { data, link } = this.section(".symtab");
    const strings = this.sections[link]!.data;
    this.symbols = Array.from({ length: data.length / 24 }, (_, i) => ({
      name: text(strings, data.readUInt32LE(24 * i)),
      section: data.readUInt16LE(24 * i + 6),
      value: Number(data.readBigUInt64LE(24 * i + 8)),
    }));
  }

  section(name: string): Section {
    const found = this.sections.find((one) => one.name === name);
    if (found === undefined) throw new Error(`the object has no section ${name}`);
    return found;
  }

  #dataOf(header: number): Buffer {
    const at = Number(this.#bytes.readBigUInt64LE(header + 24));
    return this.#bytes.subarray(at, at + Number(this.#bytes.readBigUInt64LE(header + 32)));
  }
}

function text(strings: Buffer, at: number): string {
  return strings.toString("latin1", at, strings.indexOf(0, at));
}

function mapsOf(object: ObjectFile): string[] {
  const { index, data } = object.section("maps");
  return object.symbols
    .filter(({ section, name }) => section === index && name !== "")
    .sort((a, b) => a.value - b.value)
    .map(({ name, value }) => {
      const [type, keySize, valueSize, entries] = [0, 4, 8, 12].map((offset) => data.readUInt32LE(value + offset));
      return `  ${name}: { type: ${type}, keySize: ${keySize}, valueSize: ${valueSize}, entries: ${entries} },`;
    });
}

/** Instructions, by number, that name a map. */
function relocationsOf(object: ObjectFile): string[] {
  const { data } = object.section(".reltc");
  return Array.from({ length: data.length / 16 }, (_, i) => {
    const { name } = object.symbols[data.readUInt32LE(16 * i + 12)]!;
    return `  { instruction: ${Number(data.readBigUInt64LE(16 * i)) / 8}, map: "${name}" },`;
  });
}

/** Each structure's size and members, as the compiler has placed them. */
function layoutsOf(object: ObjectFile): string[] {
  const { data } = object.section("layout");
  const structures = new Map<string, string[]>();
  for (let at = 0; at < data.length; at += 32) {
    const [structure, member] = text(data, at).split(".") as [string, string];
    const name = member.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    const members = structures.get(structure) ?? [];
    structures.set(structure, [...members, `${name}: ${data.readUInt32LE(at + 28)}`]);
  }
  return [...structures].map(
    ([name, members]) => `export const ${name.toUpperCase()} = { ${members.join(", ")} } as const;`,
  );
}

function moduleText(compiler: string): string {
  const object = new ObjectFile(compile());
  const lines =
    object
      .section("tc")
      .data.toString("base64")
      .match(/.{1,100}/g) ?? [];
  return `// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Generated by tools/ebpf.ts from relay.bpf.c; not to be edited. Sizes and offsets are in bytes.
 * Compiler: ${compiler}
 */
export const LICENSE = "${text(object.section("license").data, 0)}";

export const MAPS = {
${mapsOf(object).join("\n")}
} as const;

export const RELOCATIONS = [
${relocationsOf(object).join("\n")}
] as const;

${layoutsOf(object).join("\n")}

/** Instructions of eight bytes. */
export const INSTRUCTIONS: string = [
${lines.map((line) => `  "${line}",`).join("\n")}
].join("");
`;
}

/** What the source compiles to, as the committed module has it. */
export function generate(): string {
  const compiler = installedCompiler();
  if (compiler === undefined) throw new Error("clang is not installed");
  const formatted = spawnSync(join(root, "node_modules/.bin/biome"), ["format", `--stdin-file-path=${modulePath}`], {
    cwd: root,
    encoding: "utf8",
    input: moduleText(compiler),
  });
  if (formatted.status !== 0) throw new Error(formatted.stderr);
  return formatted.stdout;
}

if (import.meta.main) {
  if (!process.argv.includes("--check")) writeFileSync(modulePath, generate());
  else if (generate() !== readFileSync(modulePath, "utf8")) {
    console.error("program.ts is not what relay.bpf.c compiles to: run `node tools/ebpf.ts` and commit the result.");
    process.exitCode = 1;
  }
}
