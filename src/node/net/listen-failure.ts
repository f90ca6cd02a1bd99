/** What the operating system says when a listener cannot be opened, in words that say what to do. */
import { type Address, formatAddress } from "../../core/base/address.ts";
import { PosternError } from "../../core/base/failure.ts";

const exhausted = ["descriptors-exhausted", "No file descriptor is left: raise the limit (ulimit -n, LimitNOFILE)."];

const advice: Partial<Record<string, readonly string[]>> = {
  EADDRINUSE: ["address-busy", "Another program has this port: stop it, or choose another port."],
  EADDRNOTAVAIL: ["address-gone", "No interface of this host has this address."],
  EACCES: ["permission-denied", "Ports below 1024 need CAP_NET_BIND_SERVICE: grant it, or choose a higher port."],
  EMFILE: exhausted,
  ENFILE: exhausted,
  ENOBUFS: exhausted,
  ENOMEM: exhausted,
};

export function listenFailure(transport: string, address: Readonly<Address>, cause: Error): PosternError {
  const [code, sentence] = advice[(cause as NodeJS.ErrnoException).code ?? ""] ?? ["address-gone", `${cause.message}.`];
  return new PosternError(code as string, `Cannot listen on ${transport} ${formatAddress(address)}. ${sentence}`, {
    cause,
  });
}

/** For whoever still waits for a listener to open when it is closed. */
export function listenerClosed(): PosternError {
  return new PosternError("closed", "The listener was closed before it was open.");
}
