/**
 * `postern helper`: the process that holds the privilege which the daemon must not have. It waits for the daemon at a path,
 * or starts itself beside one: then this process becomes the daemon, as somebody who may do nothing more than anybody.
 */
import { spawn } from "node:child_process";
import { unlinkSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { PosternError } from "../core/base/failure.ts";
import type { AttachmentKind } from "../node/datapath/ebpf/attachment.ts";
import type { HelperService } from "../node/datapath/ebpf/helper-service.ts";
import type { Account } from "../node/sys/accounts.ts";
import { isInterfaceName } from "../node/sys/interface-name.ts";

interface HelperFlags {
  readonly user?: string;
  readonly listen: string;
  readonly attach: AttachmentKind;
  readonly interfaces: readonly string[];
  readonly connection?: number;
  readonly listener?: number;
}

const defaultPath = `${process.env.RUNTIME_DIRECTORY ?? "/run/postern-helper"}/socket`;

/** Nobody in particular, where there is a choice: not root, to whom the system's files belong, and not the daemon. */
const nobody = { uid: 65_534, gid: 65_534 };

/** Another user's signal must not open a debugger in a privileged process, and it needs little memory. */
const nodeFlags = ["--disable-sigusr1", "--max-old-space-size=64", "--max-semi-space-size=1"];

export function addHelperCommand(program: Command): void {
  program
    .command("helper")
    .description("hold the privilege that offload takes, for a daemon that has none (Linux)")
    .argument("[COMMAND...]", "what to become, beside the helper, behind --: serve and its options")
    .option("--user <USER>", "the daemon's user, by name or number: who is served, and who is become")
    .option("--listen <PATH>", "where the daemon finds the helper, unless there is a command", defaultPath)
    .addOption(
      program
        .createOption(
          "--attach <HOW>",
          "to interfaces by links (tcx, Linux 6.6) or filters (clsact); auto is links where they are",
        )
        .choices(["auto", "tcx", "clsact"])
        .default("auto"),
    )
    .option("--interfaces <NAMES>", "to which alone it may attach the program (eth0,eth1); else to any", namesOf, [])
    .addOption(inherited(program, "--connection"))
    .addOption(inherited(program, "--listener"))
    .addHelpText(
      "after",
      "\nExamples:\n  postern helper --user postern\n  postern helper --user node -- serve --offload auto",
    )
    .action(helper);
}

/** A name that is none would be one that nobody misses. */
function namesOf(text: string, others: readonly string[]): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (!names.every(isInterfaceName)) {
    throw new InvalidArgumentError("Give interfaces by name, such as eth0 or eth0,eth1.");
  }
  return [...others, ...names];
}

/** Given by the process that starts the helper, or goes on as one, and by nobody else. */
function inherited(program: Command, flag: "--connection" | "--listener") {
  return program.createOption(`${flag} <DESCRIPTOR>`).argParser(Number).hideHelp();
}

async function helper(command: readonly string[], flags: HelperFlags): Promise<void> {
  if (flags.connection !== undefined) return serveConnection(flags.connection, flags);
  if (command.length > 0) return becomeDaemon(command, flags);
  await serveListener(flags);
}

async function openService(
  user: () => number | undefined,
  { attach, interfaces }: HelperFlags,
): Promise<HelperService> {
  const [{ HelperService }, { LoadedProgram }] = await Promise.all([
    import("../node/datapath/ebpf/helper-service.ts"),
    import("../node/datapath/ebpf/loaded-program.ts"),
  ]);
  const say = (line: string) => console.error(`postern helper: ${line}`);
  // Where the flag that does the same was not given.
  process.on("SIGUSR1", () => {});
  return new HelperService({ user, load: () => new LoadedProgram(attach), interfaces, say });
}

async function serveListener(flags: HelperFlags): Promise<void> {
  const { listen: path, user, listener: opened } = flags;
  if (user === undefined)
    throw new PosternError("helper-needs-user", "Say who is served: --user and the daemon's user.");
  const [{ openHelperSocket, sayReady }, { findAccount }] = await Promise.all([
    import("../node/datapath/ebpf/helper-listener.ts"),
    import("../node/sys/accounts.ts"),
  ]);
  const listener = opened ?? openHelperSocket(path);
  // Where the path is may be for root alone.
  await reduce(listener, (kept) => ["--listener", kept, "--listen", path, "--user", user, ...limits(flags)]);
  // Asked again each time: a dynamic user is there only while its service runs.
  const service = await openService(() => (/^\d+$/.test(user) ? Number(user) : findAccount(user)?.uid), flags);
  service.listen(listener);
  if (process.env.NOTIFY_SOCKET === undefined) {
    const isKnown = /^\d+$/.test(user) || findAccount(user) !== undefined;
    console.error(`postern helper: listens at ${path} for the user ${user}${isKnown ? "" : ", whom there is not yet"}`);
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      service.close();
      removeSocket(path);
      process.exit(0);
    });
  }
  sayReady();
}

/** Who may not leaves it, and the next helper takes its place. */
function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!["EACCES", "EPERM", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** For one daemon, whose other end it has. What ends the daemon ends this, and nothing else but SIGKILL does. */
async function serveConnection(connection: number, flags: HelperFlags): Promise<void> {
  await reduce(connection, (kept) => connectionArgs(kept, flags));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  const service = await openService(() => undefined, flags);
  service.serve(connection, () => process.exit(0));
}

/** Once more as nobody, with the two capabilities alone, unless it is so already; `kept` is the descriptor then. */
async function reduce(descriptor: number, argsFor: (kept: string) => string[]): Promise<void> {
  const [{ continueAs, heldCapabilities }, { CAP_BPF, CAP_NET_ADMIN }, { libc }] = await Promise.all([
    import("../node/sys/privileges.ts"),
    import("../node/sys/privilege-layout.ts"),
    import("../node/sys/libc.ts"),
  ]);
  const held = heldCapabilities();
  const isRoot = process.getuid!() === 0;
  const capabilities = [CAP_BPF, CAP_NET_ADMIN].filter((one) => held.has(one));
  if (!isRoot && held.size === capabilities.length) return;
  // Node has every descriptor closed when the program changes; a copy stays.
  const args = ["helper", ...argsFor(String(libc().dup(descriptor)))];
  const flags = nodeFlags.filter((flag) => !process.execArgv.includes(flag));
  continueAs({ user: isRoot ? nobody : undefined, capabilities }, thisProgram(args, process.env, flags));
}

function connectionArgs(connection: string, flags: HelperFlags): string[] {
  return ["--connection", connection, ...limits(flags)];
}

/** What goes on to hold for whatever process this becomes, or starts. */
function limits({ attach, interfaces }: HelperFlags): string[] {
  return ["--attach", attach, ...(interfaces.length === 0 ? [] : ["--interfaces", interfaces.join(",")])];
}

function thisProgram(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  flags: readonly string[] = [],
) {
  return { program: process.execPath, args: [...process.execArgv, ...flags, process.argv[1]!, ...args], environment };
}

async function becomeDaemon(command: readonly string[], flags: HelperFlags): Promise<never> {
  const { user } = flags;
  const [{ continueAs }, { openSocketPair }, { libc }] = await Promise.all([
    import("../node/sys/privileges.ts"),
    import("../node/sys/unix-socket.ts"),
    import("../node/sys/libc.ts"),
  ]);
  const account = await accountOf(user);
  const [mine, its] = openSocketPair();
  const args = [...nodeFlags, process.argv[1]!, "helper", ...connectionArgs("3", flags)];
  // Nothing of the daemon's environment decides what a privileged Node does.
  const env = { PATH: process.env.PATH };
  spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", its], env, detached: true });
  const kept = libc().dup(mine);
  const identity = { ...(account && { HOME: account.home, USER: user, LOGNAME: user }) };
  const environment = { ...process.env, ...identity, POSTERN_OFFLOAD_HELPER: `fd:${kept}` };
  return continueAs({ user: account, capabilities: [] }, thisProgram(command, environment));
}

/** Undefined: as now, which is nobody privileged. */
async function accountOf(user: string | undefined) {
  if (process.getuid!() !== 0) return undefined;
  if (user === undefined) {
    throw new PosternError(
      "helper-needs-user",
      "As root, say who the daemon is to be: --user and a user without privilege.",
    );
  }
  const { findAccount } = await import("../node/sys/accounts.ts");
  const account: (Account & { groupsOf?: string }) | undefined = /^\d+$/.test(user)
    ? { uid: Number(user), gid: Number(user), home: "/" }
    : findAccount(user) && { ...findAccount(user)!, groupsOf: user };
  if (account === undefined) {
    const why = `There is no user ${user}: make one, with useradd --system ${user}, or name another by --user.`;
    throw new PosternError("helper-unknown-user", why);
  }
  if (account.uid === 0) throw new PosternError("helper-needs-user", "The daemon must not be root: --user.");
  return account;
}
