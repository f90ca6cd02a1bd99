/** `postern user`: who is let in by name and password. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import { PosternError } from "../core/base/failure.ts";
import { wallClock } from "../node/clock.ts";
import type { LoadedConfig } from "../server/config/load.ts";
import type { UserStore } from "../server/users/user-store.ts";
import { addConfigFlags, type ConfigFlags, loadFromFlags } from "./config-flags.ts";

/** Characters. An MD5 digest that was overheard lets anybody try billions of shorter ones a second. */
const shortPassword = 12;

const shown = ["dataDir", "realm", "sipDomain"] as const;

interface AddFlags {
  /** Undefined: as before. */
  readonly sip?: boolean;
  readonly passwordStdin?: boolean;
  readonly generate?: boolean;
}

export function addUserCommand(program: Command): void {
  const command = program.command("user").description("manage who is let in by name and password");
  const add = command
    .command("add")
    .description("create a user, or give one a new password; sessions under the old one end")
    .argument("<NAME>")
    .option("--sip", "let the user register a phone, too; whoever may already keeps it")
    .option("--no-sip", "the user may not register a phone any more")
    .option("--password-stdin", "read the password from standard input")
    .addOption(new Option("--generate", "make a password and print it once").conflicts("passwordStdin"));
  addConfigFlags(add, shown).action(addUser);
  const remove = command
    .command("remove")
    .alias("del")
    .description("remove a user, whose sessions end")
    .argument("<NAME>");
  addConfigFlags(remove, shown).action(removeUser);
  const list = command.command("list").description("list the users").option("--json", "print JSON");
  addConfigFlags(list, shown).action(listUsers);
}

async function withUsers(
  flags: ConfigFlags,
  work: (users: UserStore, realms: string[], sipDomain: string | undefined) => Promise<void> | void,
): Promise<void> {
  const loaded = await loadFromFlags(flags);
  const [{ becomeOwner, openDataDirectory }, { UserStore }] = await Promise.all([
    import("../server/data-directory.ts"),
    import("../server/users/user-store.ts"),
  ]);
  becomeOwner(openDataDirectory(loaded.config.dataDir));
  using users = UserStore.open(join(loaded.config.dataDir, "users.db"));
  await work(users, realmsFor(loaded, users), loaded.config.sipDomain ?? users.sipDomain);
}

/** The realms that the daemon serves, as it said, and one that is asked for here; else the default. */
function realmsFor({ config, given }: LoadedConfig, users: UserStore): string[] {
  const served = users.realms;
  const asked = given.has("realm") || served.length === 0 ? [config.realm] : [];
  return [...new Set([...served, ...asked])];
}

async function addUser(
  name: string,
  { sip, passwordStdin, generate, ...flags }: AddFlags & ConfigFlags,
): Promise<void> {
  await withUsers(flags, async (users, realms, sipDomain) => {
    const before = users.has(name) ? { isPhone: users.isPhone(name) } : undefined;
    const isPhone = sip ?? before?.isPhone ?? false;
    if (isPhone && sipDomain === undefined) {
      throw new PosternError(
        "no-sip-domain",
        "Phones need a domain: start the daemon with sip-domain first, or add --sip-domain NAME here.",
      );
    }
    const generated = generate === true ? await generatePassword() : undefined;
    const password = generated ?? (await readPassword(name, passwordStdin === true));
    users.setPassword(name, password, realms, wallClock.now(), isPhone ? sipDomain : undefined);
    const may = isPhone ? `may register a phone as sip:${name}@${sipDomain}` : `is let in, ${realmsOf(realms)}`;
    const what = before === undefined ? may : `${changeWords(before, { isPhone })}, and ${may}`;
    if (generated === undefined && password.length < shortPassword) {
      const advice = `Take ${shortPassword} or more, or --generate one.`;
      console.error(`This password has ${password.length} characters: who has heard one login can guess it. ${advice}`);
    }
    if (generated === undefined) console.log(`${name} ${what}.`);
    else console.log(`${name} ${what}, with this password, which is not kept:\n${generated}`);
    if (isPhone && users.sipDomain !== undefined && users.sipDomain !== sipDomain) {
      console.error(
        `The daemon serves ${users.sipDomain}: until it serves ${sipDomain}, that password lets no phone in.`,
      );
    }
  });
}

/** Who was there already has no second account, but another password. */
function changeWords(before: { readonly isPhone: boolean }, now: { readonly isPhone: boolean }): string {
  if (before.isPhone === now.isPhone) return "has a new password";
  return `has a new password and ${now.isPhone ? "now a phone" : "no phone any more"}`;
}

function realmsOf(realms: readonly string[]): string {
  return `realm ${realms.map((realm) => `"${realm}"`).join(" and ")}`;
}

async function generatePassword(): Promise<string> {
  const { randomBytes } = await import("node:crypto");
  return randomBytes(15).toString("base64url");
}

async function readPassword(name: string, fromInput: boolean): Promise<string> {
  const { askHidden, readAll } = await import("./prompt.ts");
  if (fromInput) return (await readAll(process.stdin)).replace(/\r?\n$/, "");
  if (!process.stdin.isTTY) {
    throw new PosternError(
      "no-terminal",
      "There is no terminal to ask for a password: use --password-stdin or --generate.",
    );
  }
  const password = await askHidden(`Password for ${name}: `);
  if (password !== (await askHidden("Once more: "))) {
    throw new PosternError("passwords-differ", "The two passwords differ: try again.");
  }
  return password;
}

async function removeUser(name: string, flags: ConfigFlags): Promise<void> {
  await withUsers(flags, (users) => {
    if (!users.remove(name))
      throw new PosternError("no-such-user", `There is no user ${name}: see \`postern user list\`.`);
    console.log(`${name} is removed.`);
  });
}

async function listUsers({ json, ...flags }: { json?: boolean } & ConfigFlags): Promise<void> {
  await withUsers(flags, (users, realms, sipDomain) => {
    const all = users.list(realms, sipDomain);
    if (json === true) return console.log(JSON.stringify(all, undefined, 2));
    if (all.length === 0) console.log("There are no users yet: postern user add NAME");
    for (const { name, since, isPhone, missing } of all) {
      const day = new Date(since * 1000).toISOString().slice(0, 10);
      const again = missing.length === 0 ? "" : `   set the password again: no key for realm ${missing.join(", ")}`;
      console.log(`${name}   since ${day}${isPhone ? "   phone" : ""}${again}`);
    }
  });
}
