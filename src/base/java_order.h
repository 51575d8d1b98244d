// The order in which Java's hash tables list texts: where an answer depends on it, so does what a client
// sees.
#ifndef BASE_JAVA_ORDER_H
#define BASE_JAVA_ORDER_H

#include "base/arena.h"
#include "base/bytes.h"

#define JAVA_MAP_SIZE 16 // where nobody says what a HashMap is made for

// String.hashCode of a UTF-8 text.
uint32_t java_string_hash(struct str s);

// The hash code of a HashMap's entry; that of the map is the sum of its entries'. A null counts as "".
uint32_t java_entry_hash(struct str key, struct str value);

// Writes to *order (in the arena) the indexes of the names, which are all different, as a HashMap that they
// were put into one after the other lists them; `others` more texts are in it, too. 0 or ERR_NOMEM.
int java_map_order(const struct str *names, size_t count, size_t others, struct arena *arena, size_t **order);

// The same for Kafka's TimelineHashMap, which holds them and never held more.
int java_timeline_order(const struct str *names, size_t count, struct arena *arena, size_t **order);

// The same for numbers (Long) as keys of a ConcurrentHashMap, and of a HashMap that was made for `made_for`.
int java_concurrent_map_order(const int64_t *numbers, size_t count, struct arena *arena, size_t **order);
int java_sized_map_order(const int64_t *numbers, size_t count, size_t made_for, struct arena *arena,
                         size_t **order);

// The same for keys whose hash codes are given; as many `others` are in it, too.
int java_hash_order(const uint32_t *hashes, size_t count, size_t others, size_t made_for, struct arena *arena,
                    size_t **order);

// The same for a HashSet that was made of a collection of `of` texts, these among them.
int java_set_order(const struct str *names, size_t count, size_t of, struct arena *arena, size_t **order);

#endif
