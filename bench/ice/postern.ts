/** Postern in the benchmark of ICE: a program on each host, which stays. */
import { join } from "node:path";
import type { Lab } from "../../src/lab/lab.ts";
import type { Program } from "../../src/lab/program.ts";
import type { IceServer } from "../../src/node/ice/options.ts";
import type { Contender, End, Host, Moment, Packet, Servers } from "./contender.ts";
import type { PosternOrder } from "./postern-end.ts";

class Remote {
  readonly #program: Program;
  readonly #waiting: ((value: unknown) => void)[] = [];
  #rest = "";

  constructor(program: Program) {
    this.#program = program;
    program.onOutput = (text) => this.#read(text);
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() as string;
    for (const line of lines.filter((one) => one.startsWith("{"))) this.#waiting.shift()?.(JSON.parse(line).value);
  }

  async tell(order: PosternOrder): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.push(resolve);
    this.#program.write(`${JSON.stringify(order)}\n`);
    const ended = this.#program.ended.then(() => Promise.reject(new Error(this.#program.output)));
    return Promise.race([promise, ended]);
  }

  stop(): Promise<unknown> {
    return this.#program.stop();
  }
}

function iceServers({ turn, stun }: Servers): IceServer[] {
  const { url, username, credential } = turn;
  return [{ urls: url, username, credential }, ...(stun === undefined ? [] : [{ urls: `stun:${stun}` }])];
}

function endOf(remote: Remote, servers: Servers): End {
  const tell = (order: PosternOrder) => remote.tell(order) as Promise<never>;
  return {
    offer: () => tell({ do: "offer", iceServers: iceServers(servers) }),
    answer: (offer) => tell({ do: "answer", iceServers: iceServers(servers), offer }),
    accept: (answer) => tell({ do: "accept", answer }),
    restart: () => tell({ do: "restart" }),
    follow: (offer) => tell({ do: "follow", offer }),
    talk: () => tell({ do: "talk" }),
    hush: () => tell({ do: "hush" }),
    moments: (): Promise<Moment[]> => tell({ do: "moments" }),
    heard: (): Promise<Packet[]> => tell({ do: "heard" }),
    close: () => tell({ do: "close" }),
  };
}

export async function startPosternEnds(lab: Lab): Promise<Contender> {
  const start = async (host: Host): Promise<Remote> => {
    const command = [process.execPath, join(import.meta.dirname, "postern-end.ts")];
    const program = await lab.network.at(host).start(command, { input: "hold" });
    await program.says("ready");
    return new Remote(program);
  };
  const remotes = { alice: await start("alice"), bob: await start("bob") };
  return {
    name: "postern",
    open: async (host, servers) => endOf(remotes[host], servers),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([remotes.alice.stop(), remotes.bob.stop()]);
    },
  };
}
