/**
 * A call as the documents draw it: both ends send, as RTP does, to where signaling told them, and to nowhere else. No
 * ICE, no latching: what does not work so shows what the network does.
 */
import type { Lab } from "./lab.ts";
import type { Outcome } from "./scenario.ts";

export interface Party {
  readonly host: string;
  /** The socket or the allocation that it speaks and listens with. */
  readonly id: string;
  /** Where it sends. */
  readonly toward: string;
}

const texts = 20;
const everyMs = 20;
/** Where one end speaks first, what it says is lost until the other has opened the path: by now that is over. */
const opening = 10;
/** Of the rest. */
const enough = 8;
/** How long silence is silence, beyond the round trip. */
const patienceMs = 1_500;

async function talk(lab: Lab, { host, id, toward }: Party): Promise<void> {
  const agent = await lab.agent(host);
  await agent.tell("send", {
    id,
    to: toward,
    texts: Array.from({ length: texts }, (_, i) => `${host} speaks ${i}`),
    every: everyMs,
  });
}

/** The numbers of the other's texts that it heard. */
async function listen(lab: Lab, { host, id }: Party, other: Party): Promise<number[]> {
  const agent = await lab.agent(host);
  const heard = await agent.hears(id, texts, lab.roundTrip + patienceMs);
  const start = `${other.host} speaks `;
  return heard.filter(({ text }) => text.startsWith(start)).map(({ text }) => Number(text.slice(start.length)));
}

/** Signaling has told both; `explain` says why, where one hears nothing. */
export async function call(lab: Lab, one: Party, other: Party, explain = ""): Promise<Outcome> {
  await Promise.all([talk(lab, one), talk(lab, other)]);
  const heard = await Promise.all([listen(lab, one, other), listen(lab, other, one)]);
  const works = heard.every((numbers) => numbers.filter((number) => number >= opening).length >= enough);
  const [ones, others] = heard.map(({ length }) => length);
  const counts = `${one.host} hears ${ones} of ${texts}, ${other.host} hears ${others}`;
  return { outcome: works ? "works" : "fails", why: works || explain === "" ? counts : `${counts}: ${explain}` };
}
