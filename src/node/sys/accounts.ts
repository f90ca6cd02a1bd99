/** Users of this host, by name; also those that only a service of the system knows (NSS). */
import { libc } from "./libc.ts";
import { NativeMemory } from "./native-memory.ts";
import { PASSWD } from "./privilege-layout.ts";
import { orThrow } from "./system-error.ts";

export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

const textAt = PASSWD.size + 8;
const room = 4_096;

/** Undefined where there is no such user. Throws `SystemError`. */
export function findAccount(name: string): Account | undefined {
  const spelled = new TextEncoder().encode(name);
  const memory = new NativeMemory("account", textAt + room + spelled.length + 1);
  try {
    const { address, bytes, u32 } = memory;
    bytes.set(spelled, textAt + room);
    const found = PASSWD.size;
    // What it returns is an error's number, not a negative one.
    const refused = libc().getpwnam_r(address + textAt + room, address, address + textAt, room, address + found);
    orThrow("getpwnam_r", -refused);
    if (u32[found >> 2] === 0 && u32[(found >> 2) + 1] === 0) return undefined;
    const home = (u32[PASSWD.home >> 2] as number) + (u32[(PASSWD.home >> 2) + 1] as number) * 0x1_0000_0000 - address;
    return {
      uid: u32[PASSWD.uid >> 2] as number,
      gid: u32[PASSWD.gid >> 2] as number,
      home: new TextDecoder().decode(bytes.subarray(home, bytes.indexOf(0, home))),
    };
  } finally {
    memory.release();
  }
}
