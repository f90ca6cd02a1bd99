/**
 * A site as one line: `office hosts=192.168.1.0/24,10.8.0.0/16 behind=203.0.113.7`. Words may come in either order behind
 * the name, and each mistake is told of its word.
 */
import { z } from "zod";
import { formatIp } from "../../core/base/address.ts";
import { type Prefix, parsePrefix } from "../../core/base/prefix.ts";
import type { Site } from "../../core/edge/sites.ts";
import type { Kind } from "./kinds.ts";

const words = ["hosts", "behind"] as const;
type Word = (typeof words)[number];

const example = "office hosts=192.168.1.0/24,10.8.0.0/16 behind=203.0.113.7";

type Complain = (sentence: string) => undefined;

export function site(): Kind<Site> {
  const type = z.string({ error: `must be a site such as \`${example}\`` }).transform((text, context) => {
    let isGood = true;
    const found = readSite(text, (sentence) => {
      isGood = false;
      context.addIssue(sentence);
      return undefined;
    });
    return isGood && found !== undefined ? found : z.NEVER;
  });
  return { type, form: "SITE", format: formatSite };
}

function readSite(text: string, complain: Complain): Site | undefined {
  const [name = "", ...rest] = text.trim().split(/\s+/);
  if (!/^[\w.-]{1,32}$/.test(name)) {
    return complain(`must begin with a name of letters, digits, dots and dashes, as \`${example}\` does`);
  }
  const given = new Map<Word, readonly Prefix[]>();
  for (const one of rest) {
    const equals = one.indexOf("=");
    const word = words.find((known) => known === one.slice(0, Math.max(equals, 0)));
    if (word === undefined) complain(`(${name}) must not have "${one}": there are ${words.join("=, ")}=`);
    else if (given.has(word)) complain(`(${name}) must have ${word}= once, its values separated by commas`);
    else given.set(word, readPrefixes(name, word, one.slice(equals + 1), complain));
  }
  const prefixes = given.get("hosts") ?? [];
  if (prefixes.length === 0) complain(`(${name}) needs hosts=, the prefixes whose hosts reach each other`);
  return { name, prefixes, behind: given.get("behind") ?? [] };
}

function readPrefixes(name: string, word: Word, text: string, complain: Complain): Prefix[] {
  return text.split(",").flatMap((one) => {
    const found = parsePrefix(one);
    // Everybody reaches everybody nowhere.
    if (found !== undefined && found.length > 0) return [found];
    return complain(`(${name}) ${word}= must be addresses or prefixes, and is not "${one}"`) ?? [];
  });
}

function formatSite({ name, prefixes, behind }: Site): string {
  const texts = (all: readonly Prefix[]) => all.map(({ address, length }) => `${formatIp(address)}/${length}`).join();
  return [name, `hosts=${texts(prefixes)}`, ...(behind.length > 0 ? [`behind=${texts(behind)}`] : [])].join(" ");
}
