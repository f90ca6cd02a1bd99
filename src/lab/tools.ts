/** What the lab needs of the machine. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { PosternError } from "../core/base/failure.ts";

/** The Debian package that holds each program. */
const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  nsenter: "util-linux",
  setpriv: "util-linux",
  unshare: "util-linux",
  mount: "mount",
  sysctl: "procps",
};

function isInstalled(program: string, path: string): boolean {
  return path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Machine {
  readonly platform: string;
  readonly uid: number | undefined;
  readonly path: string;
}

/** Throws `PosternError`: `lab-platform`, `lab-not-root`, `lab-tools`. */
export function requireTools({ platform, uid, path }: Machine): void {
  if (platform !== "linux") {
    throw new PosternError("lab-platform", `The lab is made of Linux's network namespaces, and this is ${platform}.`);
  }
  if (uid !== 0) throw new PosternError("lab-not-root", "The lab makes network namespaces: run it as root.");
  const missing = Object.keys(packages).filter((program) => !isInstalled(program, path));
  if (missing.length === 0) return;
  const install = [...new Set(missing.map((program) => packages[program]))].join(" ");
  throw new PosternError("lab-tools", `The lab needs ${missing.join(", ")}: apt-get install ${install}`);
}
