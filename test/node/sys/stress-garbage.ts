/** Runs garbage-stress.ts for so many seconds, and gives what it counted; rejects when it crashed or saw a wrong byte. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const script = fileURLToPath(new URL("./garbage-stress.ts", import.meta.url));

interface StressResult {
  readonly datagrams: number;
  readonly collections: number;
  readonly datapaths: number;
  /** What is held when every datapath is closed. */
  readonly memories: readonly string[];
}

export async function stressGarbage(seconds: number): Promise<StressResult> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", script, String(seconds)]);
  return JSON.parse(stdout);
}
