/**
 * The helper: it holds the programs in the kernel, and the daemon the maps that say what is forwarded. It trusts nobody: who
 * connects is known by the kernel, what is asked is one of a few things, and each costs no more than it may. Whatever
 * belongs to a connection ends with it.
 */
import type { PollHandle } from "../../sys/foreign.ts";
import { watchReadable } from "../../sys/readiness.ts";
import { SystemError } from "../../sys/system-error.ts";
import { closeDescriptor } from "../../sys/udp-socket.ts";
import { accept, openSocketPair, peerUser, receiveMessage, sendMessage } from "../../sys/unix-socket.ts";
import { AllowedInterfaces } from "./allowed-interfaces.ts";
import { decodeRequest, encodeReply, type HelperRequest, programDigest } from "./helper-protocol.ts";
import type { LoadedProgram } from "./loaded-program.ts";

/**
 * One for each thread that relays, 64 shards and one for calls, of a daemon and of the one before it, which drains. Each is
 * some megabytes of maps.
 */
export const mostPrograms: number = 2 * (64 + 1);
const mostConnections = mostPrograms;
const mostInterfaces = 256;
/** What is done for one connection before the others have their turn. */
const mostAtOnce = 16;
const mostRefusals = 16;

/** How a request ends: an error's number, what is said of it, and what is handed over and then the other's alone. */
interface Answer {
  readonly errno: number;
  readonly text: string;
  readonly descriptors?: readonly number[];
}

const done: Answer = { errno: 0, text: "" };
const [EPERM, EACCES, ENOSPC] = [1, 13, 28];

/** One end of a connection to a daemon, read until it is closed or says what it may not. */
class Connection {
  readonly #socket: number;
  readonly #handle: (request: HelperRequest) => Answer;
  readonly #ended: () => void;
  readonly #watch: PollHandle;
  #isWaiting = false;
  #isClosed = false;

  constructor(socket: number, handle: (request: HelperRequest) => Answer, ended: () => void) {
    this.#socket = socket;
    this.#handle = handle;
    this.#ended = ended;
    this.#watch = watchReadable(socket, () => {
      if (this.#isWaiting) return;
      this.#isWaiting = true;
      setImmediate(() => this.#read());
    });
  }

  #read(): void {
    this.#isWaiting = false;
    for (let i = 0; i < mostAtOnce && !this.#isClosed; i++) if (!this.#readOne()) return;
  }

  /** False when there is nothing more for now, or for ever. */
  #readOne(): boolean {
    try {
      const message = receiveMessage(this.#socket, { waits: false });
      if (message === "nothing") return false;
      const request = message && decodeRequest(message.bytes);
      if (request === undefined) return this.close();
      const { descriptors = [], ...reply } = this.#handle(request);
      try {
        sendMessage(this.#socket, { bytes: encodeReply(reply), descriptors }, false);
      } finally {
        for (const descriptor of descriptors) closeDescriptor(descriptor);
      }
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // It is gone, or does not read what it is told.
      return this.close();
    }
  }

  close(): false {
    if (this.#isClosed) return false;
    this.#isClosed = true;
    this.#watch.close();
    closeDescriptor(this.#socket);
    this.#ended();
    return false;
  }
}

/** One program, and where it is attached. */
class Session {
  readonly #program: LoadedProgram;
  readonly #interfaces: AllowedInterfaces;
  readonly #attached: Set<number> = new Set();
  readonly #connection: Connection;

  constructor(program: LoadedProgram, interfaces: AllowedInterfaces, socket: number, ended: () => void) {
    this.#program = program;
    this.#interfaces = interfaces;
    this.#connection = new Connection(
      socket,
      (request) => this.#handle(request),
      () => {
        program.close();
        ended();
      },
    );
  }

  #handle(request: HelperRequest): Answer {
    const { filter } = this.#program;
    if (request.kind === "generation") return { errno: 0, text: String(filter.generation) };
    if (request.kind === "translates") return { errno: 0, text: String(filter.translates) };
    if (request.kind === "tracking") return { errno: 0, text: filter.tracking(request.local, request.remote) };
    if (!("interface" in request)) return { errno: EPERM, text: "not here" };
    const { kind, interface: index } = request;
    if (kind === "detach") {
      this.#attached.delete(index);
      this.#program.detach(index);
      return done;
    }
    if (kind === "attached") {
      return orRefused(() => ({ errno: 0, text: String(this.#program.isAttached(index)) }));
    }
    const refusal = this.#interfaces.refusalOf(index);
    if (refusal !== undefined) return { errno: EACCES, text: refusal };
    if (this.#attached.size >= mostInterfaces) return { errno: ENOSPC, text: "too many interfaces" };
    return orRefused(() => {
      this.#program.attach(index);
      this.#attached.add(index);
      return done;
    });
  }

  close(): void {
    this.#connection.close();
  }
}

/** Those of all connections. */
class Programs {
  readonly interfaces: AllowedInterfaces;
  readonly #load: () => LoadedProgram;
  #count = 0;

  constructor(load: () => LoadedProgram, interfaces: AllowedInterfaces) {
    this.#load = load;
    this.interfaces = interfaces;
  }

  /** Throws `SystemError`. */
  load(): LoadedProgram {
    if (this.#count >= mostPrograms) throw new SystemError("too many programs:", ENOSPC);
    const program = this.#load();
    this.#count++;
    return program;
  }

  unloaded(): void {
    this.#count--;
  }
}

/** One daemon, or one of its threads. */
class Daemon {
  readonly #connection: Connection;
  readonly #sessions: Set<Session> = new Set();
  readonly #programs: Programs;

  constructor(socket: number, programs: Programs, ended: () => void) {
    this.#programs = programs;
    this.#connection = new Connection(
      socket,
      (request) => this.#handle(request),
      () => {
        for (const session of this.#sessions) session.close();
        ended();
      },
    );
  }

  #handle({ kind }: HelperRequest): Answer {
    if (kind !== "open") return { errno: EPERM, text: "not here" };
    return orRefused(() => {
      const [mine, yours] = openSocketPair();
      const program = this.#loadFor(mine, yours);
      const session: Session = new Session(program, this.#programs.interfaces, mine, () => {
        this.#sessions.delete(session);
        this.#programs.unloaded();
      });
      this.#sessions.add(session);
      return { errno: 0, text: programDigest(), descriptors: [yours, ...program.maps] };
    });
  }

  #loadFor(...connection: readonly number[]): LoadedProgram {
    try {
      return this.#programs.load();
    } catch (error) {
      for (const socket of connection) closeDescriptor(socket);
      throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }
}

function orRefused(work: () => Answer): Answer {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { errno: error.errno, text: error.message };
  }
}

export interface HelperOptions {
  /**
   * The user who may connect, asked whenever somebody does; undefined when there is none at the moment. May throw
   * `SystemError`.
   */
  readonly user: () => number | undefined;
  readonly load: () => LoadedProgram;
  /** By name, to which alone a program may be attached; none: to any. */
  readonly interfaces?: readonly string[];
  readonly say: (line: string) => void;
}

export class HelperService {
  readonly #options: HelperOptions;
  readonly #interfaces: AllowedInterfaces;
  readonly #programs: Programs;
  readonly #daemons: Set<Daemon> = new Set();
  readonly #refused: Set<string> = new Set();
  #listener: { readonly socket: number; readonly watch: PollHandle } | undefined;

  /** Throws `SystemError` where interfaces are named, and the kernel cannot be asked for them. */
  constructor(options: HelperOptions) {
    this.#options = options;
    this.#interfaces = new AllowedInterfaces(options.interfaces);
    this.#programs = new Programs(options.load, this.#interfaces);
  }

  /** `listener` is the helper's from now on. */
  listen(listener: number): void {
    const watch = watchReadable(listener, () => setImmediate(() => this.#accept()));
    this.#listener = { socket: listener, watch };
  }

  /** A connection whose other end was given to the daemon; `ended` when it is closed. */
  serve(socket: number, ended: () => void = () => {}): void {
    const daemon: Daemon = new Daemon(socket, this.#programs, () => {
      this.#daemons.delete(daemon);
      ended();
    });
    this.#daemons.add(daemon);
  }

  #accept(): void {
    const socket = this.#listener && accept(this.#listener.socket);
    if (socket === undefined) return;
    if (this.#mayConnect(socket)) return this.serve(socket);
    closeDescriptor(socket);
  }

  #mayConnect(socket: number): boolean {
    if (this.#daemons.size >= mostConnections) return false;
    try {
      const user = peerUser(socket);
      if (user === this.#options.user()) return true;
      this.#sayRefused(`user ${user}`, "is not the one who is served, and was refused");
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // Anybody may connect while the system's list of users cannot be asked: that must end nobody's forwarding.
      this.#sayRefused("somebody", `was refused, for it cannot be told who is served (${error.code})`);
    }
    return false;
  }

  /** Once for each of them. */
  #sayRefused(who: string, why: string): void {
    if (this.#refused.has(who) || this.#refused.size >= mostRefusals) return;
    this.#refused.add(who);
    this.#options.say(`${who} ${why}`);
  }

  /** Nothing is attached any more when this returns. */
  close(): void {
    this.#listener?.watch.close();
    if (this.#listener !== undefined) closeDescriptor(this.#listener.socket);
    this.#listener = undefined;
    for (const daemon of this.#daemons) daemon.close();
    this.#interfaces.close();
  }
}
