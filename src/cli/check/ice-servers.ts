/** The `iceServers` of a WebRTC application, as a file has them: JSON, or the JavaScript that `postern serve` prints. */
import { parse } from "yaml";
import { z } from "zod";
import { PosternError } from "../../core/base/failure.ts";
import { Secret } from "../../node/secret.ts";
import type { Asked } from "./login.ts";

const entry = z.object({
  urls: z.union([z.string(), z.array(z.string())]),
  username: z.string().optional(),
  credential: z.string().optional(),
});
/** `postern credentials --json` and `/credentials` give an object that holds the list. */
const shape = z.union([z.array(entry), z.object({ iceServers: z.array(entry) }), entry.transform((one) => [one])]);

/** Throws `PosternError` `bad-ice-servers`. */
export function parseIceServers(text: string): Asked[] {
  if (text.trim() === "") throw refuse("It is empty.");
  const found = shape.safeParse(read(text));
  if (!found.success) throw refuse("In it stands a list of { urls, username, credential }.");
  const entries = Array.isArray(found.data) ? found.data : found.data.iceServers;
  return entries.flatMap(({ urls, username, credential }) => {
    const login = username && credential ? { username, password: new Secret(credential) } : undefined;
    return [urls].flat().map((uri) => ({ uri, login }));
  });
}

/** Flow style of YAML is JSON, and is JavaScript's literals too, but for what stands around them. */
function read(text: string): unknown {
  const literal = text
    .replace(/(^|[,[\]{}]\s)\s*\/\/.*$/gm, "$1")
    .replace(/^\s*(?:export\s+)?(?:const|let|var)\s+\w+\s*=/, "")
    .replace(/;\s*$/, "");
  try {
    return parse(literal);
  } catch (cause) {
    throw refuse("It cannot be read.", cause);
  }
}

function refuse(why: string, cause?: unknown): PosternError {
  const what = "This is no iceServers block, as JSON or as `postern serve` prints it.";
  return new PosternError("bad-ice-servers", `${what} ${why}`, { cause });
}
