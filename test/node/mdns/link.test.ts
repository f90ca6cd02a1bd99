/** What is asked on a link, as another responder on it hears it. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { MdnsLink } from "../../../src/node/mdns/link.ts";
import { placesOf } from "../../../src/node/mdns/places.ts";
import { until } from "../../support/until.ts";

const places = placesOf(undefined).filter(({ family }) => family === 4);

suite("a name", { skip: places.length === 0 && "no interface with multicast" }, () => {
  const heard: string[] = [];
  const open: MdnsLink[] = [];
  const listen = async (handleQuestion: (link: MdnsLink, name: string) => void): Promise<MdnsLink> => {
    const link = await MdnsLink.open(places[0]!, { handleQuestion, handleAnswer: () => {} });
    open.push(link);
    return link;
  };
  after(() => Promise.all(open.map((link) => link.close())));

  test("is asked for in one message for each type of address: Chromium reads no message with two questions", async () => {
    // Names of one message are told together, each once.
    await listen((_, name) => heard.push(name));
    const asking = await listen(() => {});
    asking.ask("one.local");
    await until("both questions", () => heard.length === 2);
    assert.deepEqual(heard, ["one.local", "one.local"]);
  });
});
