/** The version in package.json, which lies two directories up from the sources and from what is published alike. */
import { readFileSync } from "node:fs";

const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");

export const version: string = (JSON.parse(manifest) as { version: string }).version;
