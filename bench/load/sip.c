#include "sip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "digest.h"

int sip_status(const char *message) {
  return strncmp(message, "SIP/2.0 ", 8) == 0 ? atoi(message + 8) : 0;
}

struct text sip_next_field(const char *after, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strstr(after, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (*line == '\r') break;
    if (strncasecmp(line, name, length) != 0) continue;
    const char *value = line + length;
    while (*value == ' ') value++;
    const char *end = strstr(value, "\r\n");
    if (end == NULL) break;
    return (struct text){value, (size_t)(end - value)};
  }
  return (struct text){after, 0};
}

struct text sip_field(const char *message, const char *name) {
  return sip_next_field(message, name);
}

struct text text_between(struct text in, const char *before, const char *ends) {
  size_t length = strlen(before);
  for (size_t i = 0; i + length <= in.length; i++) {
    if (strncasecmp(in.at + i, before, length) != 0) continue;
    const char *begin = in.at + i + length;
    size_t left = in.length - i - length, n = 0;
    while (n < left && strchr(ends, begin[n]) == NULL) n++;
    return (struct text){begin, n};
  }
  return (struct text){in.at, 0};
}

int text_is(struct text text, const char *other) {
  return text.length == strlen(other) && memcmp(text.at, other, text.length) == 0;
}

char *copy_fields(char *to, const char *message, const char *name) {
  for (struct text one = sip_field(message, name); one.length > 0; one = sip_next_field(one.at, name)) {
    to += sprintf(to, "%s %.*s\r\n", name, (int)one.length, one.at);
  }
  return to;
}

static void hex(const uint8_t hash[16], char out[33]) {
  for (int i = 0; i < 16; i++) sprintf(out + 2 * i, "%02x", hash[i]);
}

static void md5_hex(const char *text, size_t length, char out[33]) {
  uint8_t hash[16];
  md5(text, length, hash);
  hex(hash, out);
}

void digest_key(const char *user, const char *realm, const char *password, char key[33]) {
  char text[256];
  md5_hex(text, (size_t)snprintf(text, sizeof text, "%s:%s:%s", user, realm, password), key);
}

char *write_credentials(char *to, const char *message, const char *method, const char *uri, const char *user,
                        const char *realm, const char key[33]) {
  int is_proxy = sip_status(message) == 407;
  const char *name = is_proxy ? "Proxy-Authenticate:" : "WWW-Authenticate:";
  struct text nonce = {message, 0};
  for (struct text one = sip_field(message, name); one.length > 0; one = sip_next_field(one.at, name)) {
    struct text algorithm = text_between(one, "algorithm=", ", ");
    if (algorithm.length == 0 || text_is(algorithm, "MD5")) nonce = text_between(one, "nonce=\"", "\"");
  }
  if (nonce.length == 0) return NULL;
  char text[512], ha2[33], response[33];
  md5_hex(text, (size_t)sprintf(text, "%s:%s", method, uri), ha2);
  int length = snprintf(text, sizeof text, "%s:%.*s:00000001:0a4f113b:auth:%s", key, (int)nonce.length, nonce.at, ha2);
  md5_hex(text, (size_t)length, response);
  return to + sprintf(to,
                      "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%.*s\", uri=\"%s\", response=\"%s\", "
                      "algorithm=MD5, qop=auth, nc=00000001, cnonce=\"0a4f113b\"\r\n",
                      is_proxy ? "Proxy-Authorization" : "Authorization", user, realm, (int)nonce.length, nonce.at, uri,
                      response);
}
