/** The program: one command a file. Each is loaded when it is asked for, so that `serve` answers soon after it is typed. */
import { Command } from "commander";
import { PosternError } from "../core/base/failure.ts";
import { version } from "../server/version.ts";
import { addCallsCommand } from "./calls.ts";
import { addCheckCommand } from "./check.ts";
import { addConfigCommand } from "./config.ts";
import { addCredentialsCommand } from "./credentials.ts";
import { addHelperCommand } from "./helper.ts";
import { addLabCommand } from "./lab.ts";
import { addRegistrationsCommand } from "./registrations.ts";
import { addServeCommand } from "./serve.ts";
import { addUserCommand } from "./user.ts";

// Whoever read has read enough, as `head` has: what is still said is for nobody, and no mistake.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") return;
  console.error(`postern: Standard output cannot be written: ${error.message}`);
  process.exit(1);
});

const program = new Command("postern")
  .description("Gets the call through: a STUN, TURN and SIP server from one command.")
  .version(version, "-V, --version", "print the version")
  .helpOption("-h, --help", "print help")
  .showSuggestionAfterError()
  .showHelpAfterError("(add --help for what there is)")
  .addHelpText("after", "\nTo start: postern serve. It needs no configuration.");

addServeCommand(program);
addCredentialsCommand(program);
addUserCommand(program);
addRegistrationsCommand(program);
addCallsCommand(program);
addConfigCommand(program);
addCheckCommand(program);
addLabCommand(program);
addHelperCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  // A mistake of the caller's is told in a sentence; anything else is ours, and its stack is what helps.
  console.error(error instanceof PosternError ? `postern: ${error.message}` : error);
  process.exitCode = 1;
}
