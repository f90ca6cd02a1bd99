import assert from "node:assert/strict";
import { test } from "node:test";
import { channelDataLength, encodeChannelHeader, looksLikeChannelData } from "../../../src/core/turn/channel-data.ts";
import { hex, toHex } from "../../support/bytes.ts";

test("RFC 8656 §12.4: channel number and length, in network order, where they are asked for", () => {
  const out = new Uint8Array(6).fill(0xee);
  encodeChannelHeader(out, 2, 0x4fff, 0x0102);
  assert.equal(toHex(out), "eeee4fff0102");
});

test("RFC 8656 §12.6: over UDP what follows the claimed length is padding, and claiming more is malformed", () => {
  const data = hex("4000 0003 010203 000000");
  assert.equal(channelDataLength(data, 7), 3);
  assert.equal(channelDataLength(data, 8), 3);
  assert.equal(channelDataLength(data, 6), -1);
  assert.equal(channelDataLength(hex("4000 0000"), 4), 0);
  assert.equal(channelDataLength(hex("4000 ffff 00"), 5), -1);
  for (const length of [0, 1, 3]) assert.equal(channelDataLength(data, length), -1);
});

test("RFC 8656 §12: ChannelData is told from STUN by its first two bits, 01", () => {
  for (let first = 0; first < 256; first++) {
    assert.equal(looksLikeChannelData(first), first >= 0x40 && first <= 0x7f, String(first));
  }
});
