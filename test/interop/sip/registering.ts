/** Many phones that register over TLS, from one address. */
import assert from "node:assert/strict";
import { domain, type Office, passwordOf, serverHost, sipsPort } from "./office.ts";

export interface RegisteringOptions {
  readonly users: readonly string[];
  /** Its own; the host's first when not given. */
  readonly address?: string;
  /** A second. */
  readonly rate: number;
  /** Seconds that all of it may take. */
  readonly within: number;
}

/** Resolves when all of them have registered. */
export async function registerOverTls(office: Office, place: string, options: RegisteringOptions): Promise<void> {
  const { users, address = office.network.addressOf(place), rate, within } = options;
  const script = new URL("registrants.ts", import.meta.url).pathname;
  const child = await office.start(place, [
    ...[process.execPath, script, address, serverHost, `${sipsPort}`, domain, `${rate}`],
    ...users.map((user) => `${user}=${passwordOf(user)}`),
  ]);
  await child.ended({ within: 1_000 * within });
  assert.equal(child.output().trim(), `200: ${users.length}`);
}
