// 128-bit ids as Kafka prints them: URL-safe base64 without padding, 22 characters.
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/bytes.h"

struct uuid {
    uint8_t bytes[16];
};

#define UUID_TEXT_BYTES 23 // 22 characters and the terminating zero

// A random (version 4) id that is neither reserved (zero, one) nor starts with '-' in its text, as Kafka
// makes them. Uses getrandom(2). Any thread.
struct uuid uuid_random(void);

// Writes the 22 characters and a zero.
void uuid_text(const struct uuid *id, char out[UUID_TEXT_BYTES]);

// Parses the 22 characters. 0, or ERR_INVALID.
int uuid_parse(struct str text, struct uuid *out);

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static inline bool uuid_is_zero(const struct uuid *a)
{
    return uuid_equal(a, &(struct uuid){{0}});
}

#endif
