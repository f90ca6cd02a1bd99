/** The sockets of an attempt: asked for, opened, taken for a base when the peer is heard there, and closed. */
import type { Instant } from "../../base/machine.ts";
import { loseBase } from "../addresses.ts";
import { Base, type BaseId } from "../base.ts";
import { type HostBase, refuseTaken } from "../gathering.ts";
import { candidatePriority } from "../priority.ts";
import type { AgentState } from "../state.ts";
import type { Attempt } from "./hard-nats.ts";

export function askForSocket(state: AgentState, attempt: Attempt): void {
  if (attempt.wanted === 0 || attempt.isAwaiting) return;
  attempt.wanted--;
  attempt.isAwaiting = true;
  state.outputs.push({ kind: "openSocket", like: attempt.base.id });
}

/** Throws `PosternError` `base-taken`. */
export function takeSocket(state: AgentState, like: BaseId, id: BaseId, address: HostBase["address"]): void {
  const { attempt, sockets } = state.hardNats;
  if (state.isClosed || attempt?.isAwaiting !== true || attempt.base.id !== like || attempt.isSpent) {
    return void state.outputs.push({ kind: "closeSocket", base: id });
  }
  const { stream, component, localPreference } = attempt.base;
  refuseTaken(state, { base: id, stream: stream.index, component });
  const base = new Base(id, "host", stream, component, address, localPreference);
  attempt.isAwaiting = false;
  attempt.ready.push(base);
  sockets.set(id, base);
}

/** Where one cannot be had the next will not be either. */
export function doWithout(state: AgentState, like: BaseId): void {
  const { attempt } = state.hardNats;
  if (attempt?.isAwaiting !== true || attempt.base.id !== like) return;
  attempt.isAwaiting = false;
  attempt.wanted = 0;
}

/** The peer has been heard there: from now on it is a base as others are, that nobody needs to be told of. */
export function adopt(state: AgentState, base: Base): void {
  const { sockets, adopted } = state.hardNats;
  if (!sockets.delete(base.id)) return;
  adopted.add(base);
  state.bases.set(base.id, base);
  state.locals.push({
    foundation: state.foundations.of("host", base.address, undefined),
    component: base.component,
    priority: candidatePriority("host", base.localPreference, base.component),
    address: base.address,
    type: "host",
    related: undefined,
    base,
    server: undefined,
  });
}

export function closeUnheard(state: AgentState): void {
  const { sockets } = state.hardNats;
  for (const base of sockets.keys()) state.outputs.push({ kind: "closeSocket", base });
  sockets.clear();
}

/** Of those that were heard on, what carries data stays. */
export function closeUnused(state: AgentState, now: Instant): void {
  const { adopted } = state.hardNats;
  for (const base of adopted) {
    const isUsed = base.stream.checklists.some(({ components }) =>
      components.some(({ selected }) => selected?.base === base),
    );
    if (isUsed) continue;
    adopted.delete(base);
    loseBase(state, base.id, now);
    state.outputs.push({ kind: "closeSocket", base: base.id });
  }
}

/** The socket is gone by itself. */
export function forgetSocket({ hardNats }: AgentState, id: BaseId): void {
  const { attempt, sockets, adopted } = hardNats;
  const base = sockets.get(id);
  sockets.delete(id);
  if (base !== undefined && attempt?.ready.includes(base)) attempt.ready.splice(attempt.ready.indexOf(base), 1);
  for (const one of adopted) if (one.id === id) adopted.delete(one);
}
