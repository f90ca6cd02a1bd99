/** `postern config`: what there is to set, and what is set. */
import type { Command } from "commander";
import { addConfigFlags, type ConfigFlags, loadFromFlags } from "./config-flags.ts";

export function addConfigCommand(program: Command): void {
  const command = program.command("config").description("check the configuration, or show what can be set");
  const check = command
    .command("check")
    .description("check the configuration and the files that it names, and print nothing when they are good");
  addConfigFlags(check, []).action(async (flags: ConfigFlags) => {
    const { config } = await loadFromFlags(flags);
    const { checkNamedFiles } = await import("../server/named-files.ts");
    checkNamedFiles(config, new Date());
  });
  const print = command.command("print").description("print the effective configuration as YAML, without secrets");
  addConfigFlags(print, []).action(async (flags: ConfigFlags) => {
    const { config } = await loadFromFlags(flags);
    const { printConfig } = await import("../server/config/print.ts");
    process.stdout.write(printConfig(config));
  });
  command
    .command("docs")
    .description("print the reference of all options in Markdown")
    .action(async () => {
      const { reference } = await import("../server/config/reference.ts");
      process.stdout.write(reference());
    });
}
