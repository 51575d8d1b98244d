// SHA-2 digests and their HMAC (RFC 2104), by OpenSSL. Any thread.
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/bytes.h"

enum digest { DIGEST_SHA_256, DIGEST_SHA_512 };

#define DIGEST_MAX_BYTES 64

static inline size_t digest_bytes(enum digest d)
{
    return d == DIGEST_SHA_256 ? 32 : 64;
}

// Write digest_bytes(d) to `out`. 0, or ERR_NOMEM.
int digest_hash(enum digest d, struct bytes data, uint8_t *out);
int digest_hmac(enum digest d, struct bytes key, struct str data, uint8_t *out);

#endif
