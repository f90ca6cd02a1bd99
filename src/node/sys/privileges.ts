/**
 * What a process may do, and how it becomes one that may do less. Capabilities belong to threads, and Node has several before
 * any code of ours runs: so they are given up in one thread, which then puts a new program in the place of the whole process.
 */
import { accessSync, readFileSync, constants as rights } from "node:fs";
import { constants } from "node:os";
import { PosternError } from "../../core/base/failure.ts";
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import {
  _LINUX_CAPABILITY_VERSION_3,
  CAPABILITY_DATA,
  CAPABILITY_HEADER,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
} from "./privilege-layout.ts";
import { orThrow, SystemError } from "./system-error.ts";

const { EINVAL, EPERM } = constants.errno;
const setSize = 64;

/** The capabilities that the main thread has, by number. */
export function heldCapabilities(status: string = readFileSync("/proc/thread-self/status", "utf8")): Set<number> {
  const permitted = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return new Set(Array.from({ length: setSize }, (_, i) => i).filter((i) => ((permitted >> BigInt(i)) & 1n) === 1n));
}

export interface Identity {
  /** Undefined: as now. */
  readonly user: { readonly uid: number; readonly gid: number; readonly groupsOf?: string } | undefined;
  /** What it may do beyond what every user may. It must have that now. */
  readonly capabilities: readonly number[];
}

export interface Replacement {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What the types of Node do not have. */
type Groups = typeof process & { initgroups(user: string, group: number): void };

/** This process goes on as another program, as somebody else, and can become nobody more privileged. Throws `SystemError`, and `PosternError` `program-unreachable`. */
export function continueAs({ user, capabilities }: Identity, { program, args, environment }: Replacement): never {
  limitTo(capabilities);
  if (user !== undefined) {
    prctl(PR_SET_KEEPCAPS, 1);
    if (user.groupsOf === undefined) process.setgroups!([]);
    else (process as Groups).initgroups(user.groupsOf, user.gid);
    process.setgid!(user.gid);
    process.setuid!(user.uid);
  }
  setCapabilities(capabilities);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  for (const one of capabilities) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one);
  prctl(PR_SET_NO_NEW_PRIVS, 1);
  // Where it fails, Node ends the process with a dump.
  demandRunnable(program);
  return process.execve!(program, [program, ...args], { ...environment });
}

function demandRunnable(program: string): void {
  try {
    accessSync(program, rights.X_OK);
  } catch (cause) {
    throw unreachable(program, cause);
  }
}

function unreachable(program: string, cause: unknown): PosternError {
  const why = `The user ${process.getuid!()} may not run ${program}: install Postern where every user may read it.`;
  return new PosternError("program-unreachable", why, { cause });
}

/** Of the bounding set: no program that is started from here on can be given more. */
function limitTo(capabilities: readonly number[]): void {
  for (let one = 0; one < setSize; one++) {
    if (capabilities.includes(one)) continue;
    const dropped = libc().prctl(PR_CAPBSET_DROP, one, 0, 0, 0);
    // Who may not do this is no root, to whom the set would matter, and will be refused new privileges all the same.
    if (dropped === -EINVAL || dropped === -EPERM) return;
    orThrow("prctl", dropped);
  }
}

function setCapabilities(capabilities: readonly number[]): void {
  const memory = new NativeMemory("capabilities", CAPABILITY_HEADER.size + 2 * CAPABILITY_DATA.size);
  const { address, u32 } = memory;
  u32[CAPABILITY_HEADER.version >> 2] = _LINUX_CAPABILITY_VERSION_3;
  for (const one of capabilities) {
    const at = CAPABILITY_HEADER.size + (one >> 5) * CAPABILITY_DATA.size;
    for (const set of [CAPABILITY_DATA.effective, CAPABILITY_DATA.permitted, CAPABILITY_DATA.inheritable]) {
      u32[(at + set) >> 2]! |= 1 << (one & 31);
    }
  }
  const set = libc().capset(address, address + CAPABILITY_HEADER.size);
  memory.release();
  orThrow("capset", set);
}

function prctl(option: number, a: number, b = 0): void {
  const result = libc().prctl(option, a, b, 0, 0);
  if (result < 0) throw new SystemError("prctl", -result);
}
