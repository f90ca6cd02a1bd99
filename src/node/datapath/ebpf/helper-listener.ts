/** A helper that daemons find at a path: opened in the place of one that has gone, and told of to the service manager. */
import { chmodSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { PosternError } from "../../../core/base/failure.ts";
import { makeDirectory } from "../../make-directory.ts";
import { SystemError } from "../../sys/system-error.ts";
import { closeDescriptor } from "../../sys/udp-socket.ts";
import { connectTo, listenAt, notify } from "../../sys/unix-socket.ts";

/**
 * Everybody may find it: the daemon's user may be one that is there only while the daemon runs. Who is served is decided
 * by who connects. Throws `PosternError`.
 */
export function openHelperSocket(path: string): number {
  try {
    makeDirectory(dirname(path), 0o755);
    const listener = listenOnce(path);
    chmodSync(path, 0o666);
    return listener;
  } catch (error) {
    throw error instanceof PosternError ? error : cannotListen(path, error as Error);
  }
}

function cannotListen(path: string, cause: Error): PosternError {
  const why = `The helper cannot listen at ${path} (${cause.message}): start it as root, or choose a path by --listen.`;
  return new PosternError("helper-cannot-listen", why, { cause });
}

function listenOnce(path: string): number {
  try {
    return listenAt(path);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EADDRINUSE")) throw error;
  }
  if (isServed(path)) throw new PosternError("helper-is-there", `A helper listens at ${path} already.`);
  unlinkSync(path);
  return listenAt(path);
}

function isServed(path: string): boolean {
  try {
    closeDescriptor(connectTo(path));
    return true;
  } catch (error) {
    if (!(error instanceof SystemError && ["ECONNREFUSED", "EAGAIN"].includes(error.code))) throw error;
    return error.code === "EAGAIN";
  }
}

/** systemd starts what comes after a service once that says so. Without systemd nobody is told. */
export function sayReady(address: string | undefined = process.env.NOTIFY_SOCKET): void {
  if (address !== undefined) notify(address.replace(/^@/, "\0"), "READY=1");
}
