// The order in which Java's hash tables list texts: where an answer depends on it, so does what a client
// sees.
#ifndef BASE_JAVA_ORDER_H
#define BASE_JAVA_ORDER_H

#include "base/arena.h"
#include "base/bytes.h"

// String.hashCode of a UTF-8 text.
uint32_t java_string_hash(struct str s);

// Writes to *order (in the arena) the indexes of the names, which are all different, as a HashMap that they
// were put into one after the other lists them; `others` more texts are in it, too. 0 or ERR_NOMEM.
int java_map_order(const struct str *names, size_t count, size_t others, struct arena *arena, size_t **order);

// The same for Kafka's TimelineHashMap, which holds them and never held more.
int java_timeline_order(const struct str *names, size_t count, struct arena *arena, size_t **order);

// The same for numbers (Long) as keys of a ConcurrentHashMap, and of a HashMap that was made for `made_for`.
int java_concurrent_map_order(const int64_t *numbers, size_t count, struct arena *arena, size_t **order);
int java_sized_map_order(const int64_t *numbers, size_t count, size_t made_for, struct arena *arena,
                         size_t **order);

// The same for a HashSet that was made of a collection of `of` texts, these among them.
int java_set_order(const struct str *names, size_t count, size_t of, struct arena *arena, size_t **order);

#endif
