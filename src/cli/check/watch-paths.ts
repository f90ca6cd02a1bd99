/** Which paths are watched: UDP to each server, the relay over each transport, and connections where there are no credentials. */
import { BindingSocket } from "../../node/binding-socket.ts";
import { BindingStream } from "../../node/binding-stream.ts";
import { RelayPair } from "../../node/relay-pair.ts";
import { parseProxy } from "../../node/turn-client/http-proxy.ts";
import { type Carrier, WatchedPath } from "../../node/watched-path.ts";
import type { Login } from "./login.ts";
import type { Servers } from "./measure.ts";
import { type FailedTrial, failedTrial, pairOptions } from "./relay-trial.ts";
import { serverOf, type Target, wayOf } from "./targets.ts";

export interface NamedPath {
  readonly name: string;
  readonly path: WatchedPath<FailedTrial>;
}

const connectMs = 5_000;

export function watchedPaths({ targets, logins, proxy }: Servers): NamedPath[] {
  const found: { way: string; target: Target; path: WatchedPath<FailedTrial> }[] = [];
  for (const target of targets) {
    const through = target.throughProxy ? proxy(target.host) : undefined;
    const login = target.relays ? logins.get(target.uri) : undefined;
    const way = wayOf(target);
    if (target.transport === "udp") found.push({ way, target, path: watchedBindings(target, through) });
    if (login !== undefined) found.push({ way: `relay ${way}`, target, path: watchedRelay(target, login, through) });
    else if (target.transport !== "udp") found.push({ way, target, path: watchedBindings(target, through) });
  }
  // The server is named only where the way alone would not tell which it is.
  return found.map(({ way, target, path }) => {
    const isAlone = found.filter((one) => one.way === way).length === 1;
    return { name: isAlone ? way : `${way} ${serverOf(target)}`, path };
  });
}

function watchedBindings(target: Target, proxy: string | undefined): WatchedPath<FailedTrial> {
  const { transport, address, host } = target;
  const through = proxy === undefined ? undefined : parseProxy(proxy);
  const open = (signal: AbortSignal): Promise<Carrier | undefined> => {
    if (transport === "udp") return BindingSocket.openAnswered(address, signal);
    const late = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
    return BindingStream.open(transport, address, host, late, through);
  };
  const silence: FailedTrial = {
    target,
    state: "unreached",
    failure: { stage: "allocate", reason: "timed-out", detail: undefined },
  };
  return new WatchedPath(async (signal) => (await open(signal)) ?? { failure: silence });
}

function watchedRelay(target: Target, login: Login, proxy: string | undefined): WatchedPath<FailedTrial> {
  return new WatchedPath(async (signal) => {
    const pair = await RelayPair.open({ ...pairOptions(target, login, proxy), signal });
    return pair instanceof RelayPair ? pair : { failure: failedTrial(target, login, pair) };
  });
}
