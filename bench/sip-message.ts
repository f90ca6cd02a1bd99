/**
 * What a SIP message costs a proxy, and that nasty ones cost in proportion to their length:
 * `npm exec -- node bench/sip-message.ts`
 */
import { parseMessage } from "../src/core/sip/message/parse.ts";
import { SipStreamFramer } from "../src/core/sip/message/stream-framer.ts";

const sdp = `v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 101\r\n`;
const head = [
  "INVITE sip:bob@example.com SIP/2.0",
  "Via: SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK-524287-1---a1b2c3d4e5f6;rport",
  "Max-Forwards: 70",
  "Contact: <sip:alice@10.0.0.7:5060;transport=udp>",
  'To: "Bob" <sip:bob@example.com>',
  'From: "Alice" <sip:alice@example.com>;tag=a73kszlfl',
  "Call-ID: 1j9FpLxk3uxtm8tn@10.0.0.7",
  "CSeq: 2 INVITE",
  "Route: <sip:203.0.113.5;lr>",
  "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, UPDATE",
  "Supported: replaces, outbound, path, 100rel, timer",
  "User-Agent: Phone/5.6.1",
  'Proxy-Authorization: Digest username="alice",realm="example.com",nonce="84f1c1ae6cbe5ua9c8e88dfa3ecm3459",uri="sip:bob@example.com",response="245f23415f11432b3434341c022d0a1b",qop=auth,nc=00000001,cnonce="0a4f113b",algorithm=MD5',
];
const invite = [...head, "Content-Type: application/sdp", `Content-Length: ${sdp.length}`, "", sdp].join("\r\n");

/** As from the network: a flat string of its own. */
function received(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function proxied(text: string): number {
  const message = parseMessage(text);
  if (message.kind !== "request") throw new Error(JSON.stringify(message));
  message.setViaParam("received", "198.51.100.9");
  message.setViaParam("rport", "40112");
  message.popRoute();
  message.headers.set("Max-Forwards", String(Number(message.maxForwards) - 1));
  message.addRecordRoute("<sip:203.0.113.5;lr>");
  message.prependVia("SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKc0ffee");
  message.replaceContactUri(0, "sip:alice@198.51.100.9:40112");
  message.replaceUri("sip:bob@192.0.2.40:5060");
  return Buffer.from(message.format(), "latin1").length;
}

/** Microseconds that this thread has computed, whatever else the machine does meanwhile. */
function busy(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Microseconds of one call: as many calls as the processor's clock needs to tell. */
function microseconds(work: () => void): number {
  for (let calls = 4; ; calls *= 2) {
    const start = busy();
    for (let call = 0; call < calls; call++) work();
    const spent = busy() - start;
    if (spent > 200_000) return spent / calls;
  }
}

const bytes = Buffer.from(invite, "latin1");
const parsing = microseconds(() => void parseMessage(bytes.toString("latin1")));
const whole = microseconds(() => void proxied(bytes.toString("latin1")));
console.log(
  `INVITE of ${invite.length} bytes: parse ${parsing.toFixed(2)} µs, parse, eight edits and format ${whole.toFixed(2)} µs`,
);

const nasty: Readonly<Record<string, (length: number) => string>> = {
  "open parentheses in a header": (n) => `X: ${"(".repeat(n)}`,
  "quotes in From": (n) => `From: ${'"'.repeat(n)}`,
  "backslashes in From's name": (n) => `From: "${"\\".repeat(n)}`,
  "open brackets in Contact": (n) => `Contact: ${"<".repeat(n)}`,
  "commas in Contact": (n) => `Contact: ${",".repeat(n)}`,
  "Contacts on one line": (n) => `Contact: ${"sip:a,".repeat(n / 6)}sip:a`,
  "Vias on one line": (n) => `Via: ${"SIP/2.0/UDP a,".repeat(n / 14)}SIP/2.0/UDP a`,
  "semicolons in Via": (n) => `Via: SIP/2.0/UDP a${";a".repeat(n / 2)}`,
  "space in Via": (n) => `Via: SIP/2.0/UDP a${" ".repeat(n)};a`,
  "folded lines": (n) => `Subject: a${"\r\n a".repeat(n / 4)}`,
  "empty folded lines": (n) => `Subject: a${"\r\n ".repeat(n / 3)}b`,
  "escapes in a URI": (n) => `Contact: <sip:${"%41".repeat(n / 3)}@b>`,
  "colons in a host": (n) => `Contact: <sip:[${":".repeat(n)}]>`,
};
const [line, ...rest] = head as [string, ...string[]];
const sizes = [1, 2, 4, 8, 16, 32, 60];
console.log(`\nµs for KB:${sizes.map((size) => String(size).padStart(9)).join("")}`);
for (const [name, make] of Object.entries(nasty)) {
  const times = sizes.map((size) => {
    const text = received(
      [line, make(size * 1024), ...rest.filter((other) => !make(0).startsWith(other.slice(0, 5))), "", ""].join("\r\n"),
    );
    return microseconds(() => {
      const message = parseMessage(text);
      if (message.kind === "request") {
        void [message.list("contact"), message.vias, message.header("subject")];
        message.prependVia("SIP/2.0/UDP a");
        message.removeTopVia();
        message.format();
      }
    });
  });
  console.log(`${name.padEnd(30)}${times.map((time) => time.toFixed(1).padStart(9)).join("")}`);
}
const drops = sizes.map((size) => {
  const text = received(`${invite.slice(0, -sdp.length - 4)}\r\nX: ${"a".repeat(size * 1024)}\r\n\r\n${sdp}`);
  return microseconds(() => {
    const framer = new SipStreamFramer();
    for (let i = 0; i < text.length; i++) {
      framer.push(text.charAt(i));
      framer.next();
    }
  });
});
console.log(`${"a stream, byte by byte".padEnd(30)}${drops.map((time) => time.toFixed(0).padStart(9)).join("")}`);
