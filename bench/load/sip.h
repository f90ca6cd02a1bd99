/* The little of SIP that a load generator says and understands: text, and MD5 digest (RFC 3261 §22, RFC 7616). */
#ifndef SIP_H
#define SIP_H
#include <stddef.h>
#include <stdint.h>

/* A stretch of somebody else's text. */
struct text {
  const char *at;
  size_t length;
};

/* 0 for a request. */
int sip_status(const char *message);
/* The value of the first field of that name, in its long form; empty when there is none. `name` ends with its colon. */
struct text sip_field(const char *message, const char *name);
/* The next field of that name after `after`. */
struct text sip_next_field(const char *after, const char *name);
/* What stands between `before` and the first of `ends` or the end of `in`. */
struct text text_between(struct text in, const char *before, const char *ends);
int text_is(struct text text, const char *other);
/* Writes each field of that name as it came; returns the new end. */
char *copy_fields(char *to, const char *message, const char *name);

/* A key of digest authentication: MD5 of user, realm and password, in hexadecimal. */
void digest_key(const char *user, const char *realm, const char *password, char key[33]);
/* Writes the header field that answers the challenge for MD5 in `message`; NULL when there is none. */
char *write_credentials(char *to, const char *message, const char *method, const char *uri, const char *user,
                        const char *realm, const char key[33]);
#endif
