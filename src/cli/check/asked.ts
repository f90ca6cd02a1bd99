/** The servers that the caller names, and the credentials that go with each. */
import { readFile } from "node:fs/promises";
import { PosternError } from "../../core/base/failure.ts";
import { Secret } from "../../node/secret.ts";
import { askHidden, readAll } from "../prompt.ts";
import type { Asked } from "./login.ts";

export interface AskedFlags {
  readonly user?: string;
  readonly passwordFile?: string;
  readonly iceServers?: string;
}

const variable = "POSTERN_CHECK_PASSWORD";

/** Rejects with `PosternError`: `no-servers`, `bad-ice-servers`, `bad-credentials`, `no-password`, `unreadable`, `no-terminal`. */
export async function readAsked(uris: readonly string[], flags: AskedFlags): Promise<Asked[]> {
  const { user, passwordFile, iceServers } = flags;
  if (passwordFile === "-" && iceServers === "-") {
    throw new PosternError("unreadable", "Standard input is one thing only: the password, or the iceServers.");
  }
  if (uris.length === 0 && iceServers === undefined) throw noServers();
  if (user === "") throw new PosternError("bad-credentials", "The user name is empty: --user NAME.");
  if (user === undefined && passwordFile !== undefined) {
    throw new PosternError("no-password", "A password goes with a user name: add --user NAME.");
  }
  const listed = iceServers === undefined ? [] : await readIceServers(iceServers);
  if (uris.length + listed.length === 0) throw noServers();
  const login = user === undefined ? undefined : { username: user, password: await readPassword(user, passwordFile) };
  if (login?.password.reveal() === "") throw new PosternError("bad-credentials", `${user}'s password is empty.`);
  const own = uris.map((uri) => ({ uri, login: undefined }));
  return [...own, ...listed].map((one) => ({ ...one, login: one.login ?? login }));
}

function noServers(): PosternError {
  return new PosternError(
    "no-servers",
    "Say which servers to ask, such as: postern check stun:stun.example.org turn:turn.example.org --user alice\n" +
      "or give the iceServers of your application: postern check --ice-servers FILE, where - is standard input.",
  );
}

async function readIceServers(file: string): Promise<Asked[]> {
  const { parseIceServers } = await import("./ice-servers.ts");
  return parseIceServers(await readText(file));
}

async function readPassword(user: string, file: string | undefined): Promise<Secret> {
  if (file !== undefined) return new Secret((await readText(file)).replace(/\r?\n$/, ""));
  const given = process.env[variable];
  if (given) return new Secret(given);
  if (!process.stdin.isTTY) {
    throw new PosternError(
      "no-terminal",
      `There is no terminal to ask for ${user}'s password: use --password-file FILE (- is standard input), or ${variable}.`,
    );
  }
  return new Secret(await askHidden(`Password for ${user}: `));
}

/** `-` is standard input. */
async function readText(file: string): Promise<string> {
  if (file === "-") return readAll(process.stdin);
  return readFile(file, "utf8").catch((cause: Error) => {
    throw new PosternError("unreadable", `${file} cannot be read: ${cause.message}`, { cause });
  });
}
