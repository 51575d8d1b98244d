// Regular expressions of RE2: their syntax, and time that grows with the text alone, whatever a client asks
// for. A shim over libre2 that accepts what RE2/J accepts, which is what Apache Kafka matches with, and says
// in its words what is wrong; tests/unit/test_regex.c lists where the two differ. Any thread; one expression
// may be matched by several at once.
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define REGEX_MAX_PATTERN_BYTES (16u << 10)
#define REGEX_MAX_MEMORY_BYTES  (2u << 20) // of one expression, compiled and matching

struct regex;

// 0, or: ERR_INVALID, the pattern is none; ERR_LIMIT, it is too large; ERR_NOMEM. *why then says so (static).
int regex_compile(struct str pattern, struct regex **out, const char **why);
void regex_free(struct regex *regex); // NULL is fine

// Whether the whole text matches, not just a part of it.
bool regex_matches(const struct regex *regex, struct str text);

#ifdef __cplusplus
}
#endif

#endif
