/**
 * The daemon's side of the helper. Where the helper listens at a path it may be started again, and is found again; where the
 * connection was inherited there is only that one.
 */
import { constants } from "node:os";
import type { Address } from "../../../core/base/address.ts";
import { PosternError } from "../../../core/base/failure.ts";
import type { Instant } from "../../../core/base/machine.ts";
import { monotonicNow } from "../../clock.ts";
import { TRACKINGS, type Tracking } from "../../sys/netfilter.ts";
import { SystemError } from "../../sys/system-error.ts";
import { closeDescriptor } from "../../sys/udp-socket.ts";
import {
  connectTo,
  DESCRIPTOR_ROOM,
  isConnected,
  receiveMessage,
  sendMessage,
  setPatience,
  type UnixMessage,
} from "../../sys/unix-socket.ts";
import { decodeReply, encodeRequest, type HelperReply, type HelperRequest, programDigest } from "./helper-protocol.ts";
import type { PrivilegedFilter } from "./host-rules.ts";
import { mapNames, type ProgramHolder } from "./loaded-program.ts";

const { EPIPE } = constants.errno;

/** A helper may be about to start, on a machine that is busy. */
const patienceMs = 30_000;
/** While packets wait. */
const sessionPatienceMs = 500;

/** A program that the helper holds for us. */
interface HelpedProgram {
  /** The connection by which it is attached, and with which it ends. */
  readonly session: number;
  readonly maps: readonly number[];
}

export class HelperSession implements ProgramHolder {
  readonly maps: readonly number[];
  readonly filter: PrivilegedFilter;
  readonly #socket: number;
  #isThere = true;

  /** Everything in `program` is the session's from now on, but the maps, which are the user's. */
  constructor({ session, maps }: HelpedProgram) {
    this.maps = maps;
    this.#socket = session;
    setPatience(session, sessionPatienceMs);
    this.filter = new HelpedFilter((request) => this.#ask(request).text);
  }

  attach(interfaceIndex: number): void {
    const { errno, text } = this.#ask({ kind: "attach", interface: interfaceIndex });
    if (errno !== 0) throw new HelperRefusal(errno, text);
  }

  /** A helper that is gone has detached everything, and one that hangs does so when it finds the session closed. */
  detach(interfaceIndex: number): void {
    if (this.isThere()) this.#ask({ kind: "detach", interface: interfaceIndex });
  }

  isAttached(interfaceIndex: number): boolean {
    return this.#ask({ kind: "attached", interface: interfaceIndex }).text !== "false";
  }

  isThere(): boolean {
    this.#isThere &&= isConnected(this.#socket);
    return this.#isThere;
  }

  close(): void {
    this.#isThere = false;
    closeDescriptor(this.#socket);
  }

  #ask(request: HelperRequest): HelperReply {
    if (!this.#isThere) throw new HelperRefusal(EPIPE, "the helper does not answer");
    try {
      sendMessage(this.#socket, { bytes: encodeRequest(request), descriptors: [] });
      const message = receiveMessage(this.#socket, { waits: true });
      const reply = typeof message === "object" ? decodeReply(message.bytes) : undefined;
      if (reply !== undefined) return reply;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
    // An answer that comes later would be taken for that to another question.
    this.#isThere = false;
    throw new HelperRefusal(EPIPE, "the helper does not answer");
  }
}

/** What the helper says of the host's netfilter. Throws `SystemError` when it does not. */
class HelpedFilter implements PrivilegedFilter {
  readonly #ask: (request: HelperRequest) => string;

  constructor(ask: (request: HelperRequest) => string) {
    this.#ask = ask;
  }

  get generation(): number | undefined {
    const said = this.#ask({ kind: "generation" });
    return /^\d+$/.test(said) ? Number(said) : undefined;
  }

  get translates(): boolean | undefined {
    const said = this.#ask({ kind: "translates" });
    return said === "true" ? true : said === "false" ? false : undefined;
  }

  tracking(local: Readonly<Address>, remote: Readonly<Address>): Tracking {
    const said = this.#ask({ kind: "tracking", local, remote });
    return TRACKINGS.find((one) => one === said) ?? "unknown";
  }
}

class HelperRefusal extends SystemError {
  constructor(errno: number, text: string) {
    super("helper", errno);
    this.message = text;
  }
}

/**
 * Asks for programs, one after the other. A connection that was inherited is of the whole process: each thread asks over it,
 * one answer is as good as another, and nobody closes it.
 */
export class Helper {
  /** A path, or the descriptor of a connection that was inherited. */
  readonly #at: string | number;
  /** Undefined where there is none, or none any more. */
  #socket: number | undefined;
  /** When it was asked for what it has not answered yet. */
  #asked: Instant | undefined;

  constructor(at: string | number) {
    this.#at = at;
    if (typeof at === "number") this.#socket = at;
  }

  /** Whether it may be there later when it is not now. */
  get canReturn(): boolean {
    return typeof this.#at === "string" || this.#socket !== undefined;
  }

  /**
   * A program that is loaded for us; undefined until it is, and to be asked again then. Throws `PosternError`, and
   * `SystemError` of what the helper was refused.
   */
  open(): HelpedProgram | undefined {
    try {
      const message = this.#receive();
      if (message === "nothing" && monotonicNow() < this.#asked! + patienceMs) return undefined;
      this.#asked = undefined;
      if (typeof message !== "object") throw this.#isGone();
      return programIn(message);
    } catch (error) {
      // What was loaded before belongs to the connection, so only one that is useless is closed.
      if (error instanceof PosternError) this.close();
      throw error;
    }
  }

  close(): void {
    if (typeof this.#at === "string" && this.#socket !== undefined) closeDescriptor(this.#socket);
    this.#socket = undefined;
    this.#asked = undefined;
  }

  #receive(): UnixMessage | "nothing" | undefined {
    try {
      this.#socket ??= this.#connect();
      if (this.#asked === undefined) {
        sendMessage(this.#socket, { bytes: encodeRequest({ kind: "open" }), descriptors: [] }, false);
        this.#asked = monotonicNow();
      }
      return receiveMessage(this.#socket, { waits: false, descriptorRoom: DESCRIPTOR_ROOM });
    } catch (cause) {
      if (!(cause instanceof SystemError)) throw cause;
      throw this.#isGone(cause);
    }
  }

  #connect(): number {
    if (typeof this.#at === "number") throw this.#isGone();
    try {
      return connectTo(this.#at);
    } catch (cause) {
      if (!(cause instanceof SystemError)) throw cause;
      throw unreachable(this.#at, cause);
    }
  }

  #isGone(cause?: unknown): PosternError {
    const why =
      typeof this.#at === "number"
        ? "The helper that was started with the daemon has ended, or was ended; only a start of both brings it back."
        : `The helper at ${this.#at} has closed the connection: it ended, or it serves another user (its --user).`;
    return new PosternError("offload-helper-gone", why, { cause });
  }
}

function unreachable(path: string, cause: SystemError): PosternError {
  const { code } = cause;
  const why =
    code === "EAGAIN"
      ? `The helper at ${path} lets nobody in (${code}): it hangs, or is very busy.`
      : `No helper listens at ${path} (${code}): start it, with systemctl start postern-helper or postern helper.`;
  return new PosternError("offload-helper-unreachable", why, { cause });
}

function programIn({ bytes, descriptors }: UnixMessage): HelpedProgram {
  const [session, ...maps] = descriptors;
  try {
    const reply = decodeReply(bytes);
    if (reply !== undefined && reply.errno !== 0) throw new HelperRefusal(reply.errno, reply.text);
    if (session !== undefined && maps.length === mapNames.length && reply?.text === programDigest()) {
      return { session, maps };
    }
    const why = "The helper is of another release than the daemon: start it again.";
    throw new PosternError("offload-helper-differs", why);
  } catch (error) {
    for (const descriptor of descriptors) closeDescriptor(descriptor);
    throw error;
  }
}
