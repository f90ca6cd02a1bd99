/** Descriptions as phones and browsers send them, with what they get wrong. */

function crlf(...lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join("");
}

/** Two streams, both directions of c=, everything that the relay touches. */
export const PHONE: string = crlf(
  "v=0",
  "o=alice 2890844526 2890844526 IN IP4 10.0.0.5",
  "s=-",
  "c=IN IP4 10.0.0.5",
  "t=0 0",
  "a=X-nat:0",
  "m=audio 49170 RTP/AVP 0 8 101",
  "a=rtpmap:0 PCMU/8000",
  "a=rtpmap:8 PCMA/8000",
  "a=rtpmap:101 telephone-event/8000",
  "a=fmtp:101 0-16",
  "a=ptime:20",
  "a=sendrecv",
  "m=video 51372 RTP/AVP 96",
  "c=IN IP4 10.0.0.6",
  "a=rtpmap:96 H264/90000",
  "a=fmtp:96 profile-level-id=42e01f; packetization-mode=1",
  "a=rtcp:53020 IN IP4 10.0.0.7",
  "a=rtcp-fb:* ccm fir",
);

/** LF alone, no s= or t=, the same attribute twice, lines that nobody knows, and no end of the last line. */
export const CARELESS =
  "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nA line of something else\n\nm=audio 4000 RTP/AVP 0\na=rtpmap: 0 PCMU/8000\na=X-a\na=X-a\na = odd\nk=clear:x\na=sendonly";

export const BROWSER: string = crlf(
  "v=0",
  "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0",
  "a=ice-options:trickle",
  "a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
  "c=IN IP4 0.0.0.0",
  "a=rtcp:9 IN IP4 0.0.0.0",
  "a=candidate:1 1 udp 2113937151 192.0.2.33 51372 typ host generation 0",
  "a=candidate:2 1 tcp 1518280447 192.0.2.33 9 typ host tcptype active",
  "a=ice-ufrag:F7gI",
  "a=ice-pwd:x9cmlYzichV2XlhiMu8gABCD",
  "a=setup:actpass",
  "a=mid:0",
  "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
  "a=recvonly",
  "a=rtcp-mux",
  "a=rtpmap:111 opus/48000/2",
  "a=rtcp-fb:111 transport-cc",
  "a=fmtp:111 minptime=10;useinbandfec=1",
  "a=rtpmap:0 PCMU/8000",
  "a=ssrc:1234 cname:abc",
);

/** T.38 over UDPTL beside a refused voice stream, on IPv6, keys in the clear. */
export const FAX: string = crlf(
  "v=0",
  "o=fax 1 2 IN IP6 2001:db8::5",
  "s=fax",
  "c=IN IP6 2001:db8::5",
  "t=0 0",
  "m=audio 0 RTP/SAVP 8",
  "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 UNENCRYPTED_SRTCP",
  "m=image 4002 udptl t38",
  "a=T38FaxVersion:0",
  "a=T38FaxRateManagement:transferredTCF",
);

export const HELD: string = crlf(
  "v=0",
  "o=- 1 3 IN IP4 198.51.100.4",
  "s=-",
  "c=IN IP4 0.0.0.0",
  "t=0 0",
  "a=inactive",
  "m=audio 4000/2 RTP/AVP 0",
  "m=audio 5000 RTP/AVP 0",
  "a=sendonly",
);

/** RFC 4566 and 3264 in their own words. */
export const HOST_NAME: string = crlf(
  "v=0",
  "o=user 1 1 IN IP4 host.example.com",
  "s= ",
  "c=IN IP4 host.example.com",
  "t=0 0",
  "m=audio 3456 RTP/AVP 0 1 3 99",
  "a=rtpmap:99 iLBC/8000",
);

export const SAMPLES: Readonly<Record<string, string>> = { PHONE, CARELESS, BROWSER, FAX, HELD, HOST_NAME };
