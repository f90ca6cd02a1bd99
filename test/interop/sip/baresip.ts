/**
 * A real phone: baresip, on a host of the lab. It plays a tone into its calls and records what it hears; its control
 * port is told what to press.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Namespace } from "../../../src/lab/namespace.ts";
import type { Network } from "../../../src/lab/network.ts";
import { type Child, startChild } from "../../support/child.ts";
import { peerPath } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { through } from "../networks.ts";
import { listen, type Moment, samplesOf, tone } from "./sound.ts";

export interface PhoneOptions {
  readonly user: string;
  readonly password?: string;
  readonly domain: string;
  /** `203.0.113.1:5060`, where its requests go; undefined: to whom they are for. */
  readonly server?: string;
  readonly transport?: "udp" | "tcp" | "tls";
  /** Its own; the host's first when not given. */
  readonly address?: string;
  /** Where it runs, when that is no place of the topology. */
  readonly namespace?: Namespace;
  /** Hertz. */
  readonly tone: number;
  /** Seconds: so long it can speak; two minutes when not given. */
  readonly speaksFor?: number;
  /** Seconds between registrations; 0: none. */
  readonly expires?: number;
  /** More of baresip's account parameters: `stunserver="stun:…";medianat=stun`. */
  readonly account?: string;
  /** To whom it writes: `<sip:bob@example.org>`. */
  readonly contact?: string;
  /** More lines of its configuration. */
  readonly config?: readonly string[];
}

export interface PhoneEvent {
  readonly type: string;
  readonly param?: string;
}

interface Answer {
  readonly response: true;
  readonly ok: boolean;
  readonly data: string;
  readonly token: string;
}

const toneSeconds = 120;
/** What all phones of this process have played so far, in hertz. */
export const tonesPlayed: Set<number> = new Set();
const controlPort = 4444;
const sipPort = 5060;

export class Baresip implements AsyncDisposable {
  readonly user: string;
  readonly place: string;
  /** Hertz. */
  readonly tone: number;
  readonly events: PhoneEvent[] = [];
  readonly #home: string;
  readonly #phone: Child;
  readonly #control: Child;
  readonly #answers: Map<string, Answer> = new Map();
  #read = 0;
  #asked = 0;

  static async start(network: Network, place: string, options: PhoneOptions): Promise<Baresip> {
    const home = await mkdtemp(join(tmpdir(), "postern-phone-"));
    const address = options.address ?? network.addressOf(place);
    tonesPlayed.add(options.tone);
    await mkdir(join(home, "heard"));
    await writeFile(join(home, "tone.wav"), tone(options.tone, options.speaksFor ?? toneSeconds));
    await writeFile(join(home, "config"), configuration(home, address, options));
    await writeFile(join(home, "accounts"), `${account(options)}\n`);
    await writeFile(join(home, "contacts"), `${options.contact ?? ""}\n`);
    const at = through(options.namespace ?? network.at(place));
    const phone = await startChild([
      ...at,
      peerPath("baresip")!,
      address.includes(":") ? "-6" : "-4",
      "-f",
      home,
      "-s",
    ]);
    try {
      await until("baresip to be ready", () => phone.output().includes("baresip is ready"), { within: 60_000 });
      // Its control port is reached from its own host alone.
      const relay = `exec 3<>/dev/tcp/127.0.0.1/${controlPort} && { cat <&3 & exec cat >&3; }`;
      const control = await startChild([...at, "bash", "-c", relay], { holdInput: true });
      const baresip = new Baresip(place, options, home, phone, control);
      // It tells no events to whoever has not said anything yet.
      await baresip.press("reginfo");
      return baresip;
    } catch (error) {
      await phone.stop("SIGKILL");
      throw new Error(`baresip wrote:\n${phone.output()}`, { cause: error });
    }
  }

  private constructor(place: string, { user, tone }: PhoneOptions, home: string, phone: Child, control: Child) {
    this.place = place;
    this.user = user;
    this.tone = tone;
    this.#home = home;
    this.#phone = phone;
    this.#control = control;
  }

  /** Its log, with the SIP messages. */
  get log(): string {
    return this.#phone.output();
  }

  /** Presses a key, or gives one of the menu's long commands. */
  async press(command: string, params?: string): Promise<string> {
    const token = `${++this.#asked}`;
    const text = JSON.stringify({ command, ...(params === undefined ? {} : { params }), token });
    this.#control.write(`${Buffer.byteLength(text)}:${text},`);
    const answer = await until(`baresip's answer to ${command}`, () => {
      this.#readControl();
      return this.#answers.get(token);
    });
    if (!answer.ok) throw new Error(`${this.user}'s baresip: ${command}: ${answer.data}`);
    return answer.data;
  }

  /** Waits for an event; it may have come already, after the first `skip` events. */
  async tells(type: string, { skip = 0, within = 10_000 } = {}): Promise<PhoneEvent> {
    const find = () => {
      this.#readControl();
      if (this.#phone.ending() !== undefined) throw new Error("baresip ended");
      return this.events.slice(skip).find((event) => event.type === type);
    };
    return until(`${this.user}'s ${type}`, find, { within }).catch((cause) => {
      const types = this.events.map((event) => `${event.type} ${event.param ?? ""}`);
      throw new Error(`${(cause as Error).message}; it told ${types.join(", ")}; it wrote:\n${this.log}`, { cause });
    });
  }

  get isRegistered(): boolean {
    return /: \{0\/\w+\/v[46]\} 200 OK/.test(this.log);
  }

  /** What it heard in its calls so far, of each the recording; the last is the newest. */
  async heard(frequencies: readonly number[]): Promise<Moment[][]> {
    const folder = join(this.#home, "heard");
    const names = (await readdir(folder)).filter((name) => name.endsWith("-dec.wav")).sort();
    return Promise.all(names.map(async (name) => listen(samplesOf(await readFile(join(folder, name))), frequencies)));
  }

  /** Again is nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Asked to end it would unregister first, which a dead server would keep it waiting for.
    await this.#phone.stop("SIGKILL");
    this.#control.closeInput();
    await this.#control.ended();
    await rm(this.#home, { recursive: true, force: true });
  }

  /** Netstrings of JSON. */
  #readControl(): void {
    const text = this.#control.output();
    for (;;) {
      const colon = text.indexOf(":", this.#read);
      if (colon < 0) return;
      const length = Number(text.slice(this.#read, colon));
      if (!Number.isInteger(length)) throw new Error(`baresip's control port: ${text.slice(this.#read)}`);
      const end = colon + 1 + length;
      if (text.length <= end) return;
      const message = JSON.parse(text.slice(colon + 1, end)) as Answer | (PhoneEvent & { response?: undefined });
      this.#read = end + 1;
      if (message.response) this.#answers.set(message.token, message);
      else this.events.push(message);
    }
  }
}

function account({ user, password, domain, server, transport = "udp", expires = 60, account }: PhoneOptions): string {
  return [
    `<sip:${user}@${domain}>`,
    `auth_user=${user}`,
    // It would ask for one at its terminal.
    `auth_pass=${password ?? "none"}`,
    ...(server === undefined ? [] : [`outbound="sip:${server};transport=${transport}"`]),
    `regint=${expires}`,
    "answermode=manual",
    "audio_codecs=PCMU",
    ...(account === undefined ? [] : [account]),
  ].join(";");
}

function configuration(home: string, address: string, { config = [] }: PhoneOptions): string {
  const host = address.includes(":") ? `[${address}]` : address;
  const modules = ["g711", "aufile", "aubridge", "sndfile", "stun", "turn", "ice", "ctrl_tcp"];
  return [
    "poll_method epoll",
    `sip_listen ${host}:${sipPort}`,
    "audio_path /nonexistent",
    "audio_player aubridge,none",
    `audio_source aufile,${join(home, "tone.wav")}`,
    "audio_alert aubridge,none",
    "audio_buffer 20-160",
    "rtp_ports 10000-10100",
    "rtcp_mux no",
    `snd_path ${join(home, "heard")}`,
    `ctrl_tcp_listen 127.0.0.1:${controlPort}`,
    `module_path ${modulePath}`,
    ...modules.map((name) => `module ${name}.so`),
    "module_tmp account.so",
    "module_app menu.so",
    "module_app contact.so",
    ...config,
    "",
  ].join("\n");
}

const modulePath = "/usr/lib/baresip/modules";
