/** What a person is told of phones and calls: states in words, and of media what is wrong with it. */
import type {
  ShownCall,
  ShownHearing,
  ShownRegistration,
  ShownStream,
  ShownTrouble,
} from "../server/services/sip/shown.ts";

/** A NAT that forgets after this time is common. */
const forgetfulSeconds = 30;
/** Of silence, after which that is said: phones that save packets send noise every few seconds. */
const silentMs = 5_000;
/** Of loss, which a person hears or soon will. */
const audibleLoss = 0.01;

export function phoneWords(phone: ShownRegistration, now: number): string {
  const { state, transport, unanswered, answered, registered, expires } = phone;
  if (state === "flow-lost") return `connection lost; calls reach it when it registers again, by ${clock(expires)}`;
  if (state === "unanswered") {
    const interval = (Date.parse(expires) - Date.parse(registered)) / 1000;
    const alone = `re-registration alone, every ${interval} s or so, keeps it known`;
    return `has not answered ${unanswered} probes${interval > forgetfulSeconds ? `; ${alone}` : ""}`;
  }
  if (transport !== "udp") return "reachable while its connection is open";
  if (unanswered > 0) return `reachable, though the last probe was not answered`;
  return answered === null
    ? "registered, has not answered a probe yet"
    : `reachable, answered ${ago(answered, now)} ago`;
}

/** What a person should know of the way to the phone; undefined where there is nothing to know. */
export function wayWords({ through }: ShownRegistration): string | undefined {
  return through === null ? undefined : `came through ${through}, so its NAT cannot be kept open from here`;
}

export function callWords(call: ShownCall, now: number): string {
  const { state, answered, started, ended } = call;
  if (ended !== null) return `${endWords(call, Date.parse(ended))}${call.isResumed ? `; ${resumedWords}` : ""}`;
  if (answered === null) return `${state} for ${ago(started, now)}${pathWords(call)}`;
  const words = state === "answered" ? "answered, not acknowledged," : "talking";
  return `${words} for ${ago(answered, now)}${pathWords(call)}${call.isResumed ? `; ${resumedWords}` : ""}`;
}

const resumedWords = "it began before a restart, or was given up for want of sound, and is known again since then";

/** How a call was, and why it is over. */
function endWords(call: ShownCall, ended: number): string {
  const { started, answered, caller, callee, called, direct, site } = call;
  const why = (call.end ?? "").replace(/\bcaller$/, caller.name).replace(/\bcallee$/, callee?.name ?? called);
  if (answered === null) return `not answered, over after ${ago(started, ended)}: ${why}`;
  if (direct === "policy") return `answered after ${ago(started, Date.parse(answered))}, went direct: ${why}`;
  const way = direct === "site" ? `; media went direct, within the site ${site}` : "; media went direct (ICE)";
  return `talked for ${ago(answered, ended)}: ${why}${direct === null ? "" : way}`;
}

/** What went wrong with a call, and what that usually is; `all`: what else did. */
export function troubleWords({ what, name, at, isOver }: ShownTrouble, all: readonly ShownTrouble[]): string {
  const when = clock(at);
  switch (what) {
    case "never-acknowledged": {
      const routeless = all.find((one) => one.what === "no-route")?.name;
      return (
        `${name} did not acknowledge the answer within 32 s (${when}), and then phones hang up: its ACK went elsewhere` +
        (routeless === undefined
          ? `. One of the two leaves out Record-Route, or a router in between changes SIP (switch its ALG off, or use TLS)`
          : `, as ${routeless} leaves out Record-Route`)
      );
    }
    case "no-route":
      return `${name} leaves out Record-Route: what is asked within the call arrives only from who sends everything here`;
    case "flow-lost":
      return `the connection of ${name} was lost (${when})${isOver ? ", and is back" : ": nothing reaches it until it registers again"}`;
    case "unreachable":
      return `nothing reached ${name} (${when}): it is off, its NAT has forgotten it, or its connection is lost`;
    case "no-media":
      return `no sound was carried any more (${when}), and so the call was given up`;
    case "no-ports":
      return `there was no port for its sound (${when}): give more \`media-ports\`, or the host is out of descriptors`;
  }
}

/** Where its media goes, when not through the relay. */
function pathWords({ direct, site }: ShownCall): string {
  if (direct === "policy") return "; goes direct once answered, end not observed";
  return direct === "site" ? `; media goes direct, within the site ${site}` : "";
}

/** Of one direction: what its party sends, and what is wrong. */
export function streamWords(stream: ShownStream, call: ShownCall, now: number): string[] {
  const { kind, packetsIn, lost, jitterMs, local, isRefused } = stream;
  const name = nameOf(stream, call);
  if (isRefused) return [`${kind} from ${name}: refused`];
  const figures = `${packetsIn} packets, ${lost} lost, jitter ${jitterMs} ms`;
  // What was silent when it ended is: what was later does not count.
  const at = call.ended === null ? now : Date.parse(call.ended);
  return [`${kind} from ${name} to ${local ?? "nowhere"}: ${figures}`, ...troubles(stream, name, call, at)];
}

function troubles(stream: ShownStream, name: string, call: ShownCall, now: number): string[] {
  const { packetsIn, heard, local, remote, drops, stranger, isHeld, ice, hearing } = stream;
  const found: string[] = [];
  const isSilent = packetsIn === 0 || (heard !== null && now - Date.parse(heard) >= silentMs);
  if (isHeld) found.push("on hold");
  else if (call.answered !== null && ice === "passes" && isSilent) found.push("media goes direct (ICE)");
  else if (call.answered !== null) {
    if (packetsIn === 0) {
      const why = `: it sends nothing, or a firewall drops UDP to ${local ?? "us"}`;
      found.push(`nothing heard from ${name}${drops.stranger === undefined ? why : " at its own address"}`);
    } else if (isSilent && heard !== null) {
      found.push(`nothing heard from ${name} since ${clock(heard)}`);
    }
    if (remote === null) {
      const hears = call.ended === null ? "hears" : "heard";
      found.push(`${name} ${hears} nothing: where it is gets known when its first packets come`);
    } else if (hearing !== null) found.push(...hearingWords(hearing, name));
  }
  if (drops.stranger !== undefined && stranger !== null) {
    found.push(`${drops.stranger} packets dropped that were not ${name}'s, the last of them from ${stranger}`);
  }
  if (drops["other-port"] !== undefined) {
    found.push(`${drops["other-port"]} packets dropped that came from ${name}'s address and another port`);
  }
  if (drops.unsealed !== undefined) {
    found.push(`${drops.unsealed} connectivity checks dropped that were not sealed with this call's passwords`);
  }
  if (drops.unnegotiated !== undefined) {
    found.push(`${drops.unnegotiated} packets dropped of a codec that was not agreed on`);
  }
  return found;
}

/** What a phone says that it hears: what is lost there is lost behind us. */
function hearingWords({ deafReports, fractionLost, lost }: ShownHearing, name: string): string[] {
  if (deafReports > 0) return [`${name} reports that it hears nothing`];
  if (fractionLost < audibleLoss) return [];
  return [`${name} hears the other side with ${Math.round(fractionLost * 100)} % lost (${lost} packets in all)`];
}

function nameOf({ party }: ShownStream, { caller, callee, called }: ShownCall): string {
  if (party === "caller") return caller.name;
  if (callee === null) return called;
  return party === "callee" ? callee.name : `${called}, on another phone`;
}

/** Minutes and seconds since then. */
export function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** Of a day's time, in UTC as in the log. */
export function clock(iso: string): string {
  return `${iso.slice(11, 19)} UTC`;
}
