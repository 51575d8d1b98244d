// Kafka's messages between wire and C: decode in place, exact size, encode, Kafka's JSON form.
// The structs are generated from protocol/*.msg into "protocol/messages.h"; one interpreter walks generated
// tables for all of them. Pure functions of their arguments: any thread.
#ifndef PROTOCOL_CODEC_H
#define PROTOCOL_CODEC_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/uuid.h"

// A record set. Null: data and external both NULL. When external is set, it stands for `size` bytes that lie
// elsewhere (a range of a file): encode leaves them out and calls encode_target.external instead.
struct records {
    const uint8_t *data;
    size_t size;
    const void *external;
};

static inline bool records_is_null(struct records r)
{
    return !r.data && !r.external;
}

enum message_kind {
    MESSAGE_REQUEST,
    MESSAGE_RESPONSE,
    MESSAGE_HEADER,
    MESSAGE_DATA,              // consumer protocol, control records, quorum-state
    MESSAGE_METADATA_RECORD,   // in __cluster_metadata
    MESSAGE_REMOTE_LOG_RECORD, // in __remote_log_metadata
    MESSAGE_GROUP_KEY,         // in __consumer_offsets
    MESSAGE_GROUP_VALUE,
    MESSAGE_TRANSACTION_KEY, // in __transaction_state
    MESSAGE_TRANSACTION_VALUE,
    MESSAGE_SHARE_KEY, // in __share_group_state
    MESSAGE_SHARE_VALUE,
};

#define MESSAGE_KINDS (MESSAGE_SHARE_VALUE + 1)

#define MESSAGE_NEVER_FLEXIBLE INT16_MAX

// What the codec knows of a message: `extern const struct message_type fetch_request_type` and so on.
struct message_type {
    const char *name; // "FetchRequest"
    enum message_kind kind;
    int16_t key;                      // API key or record type; -1 where there is none
    int16_t min_version, max_version; // min > max: no version is left
    int16_t flexible_from;            // first flexible version, or MESSAGE_NEVER_FLEXIBLE
    uint16_t info;                    // the codec's own
    uint32_t size_bytes;              // of the C struct
    const uint16_t *wires;            // the codec's own
};

static inline bool message_has_version(const struct message_type *type, int16_t version)
{
    return version >= type->min_version && version <= type->max_version;
}

// By name ("FetchRequest"); NULL when there is none.
const struct message_type *message_find(const char *name);

// By kind and API key or record type, e.g. (MESSAGE_METADATA_RECORD, 2) for TopicRecord; NULL when there is
// none.
const struct message_type *message_find_key(enum message_kind kind, int16_t key);

// Sets every field to its default.
void message_init(const struct message_type *type, void *message);

// Sets an int32 of the message itself by its JSON name. False: it has none of this name.
bool message_set_int32(const struct message_type *type, void *message, const char *name, int32_t value);

// Whether the first field that the version sends has this JSON name.
bool message_begins_with(const struct message_type *type, int16_t version, const char *name);

// Calls `each` for every "errorCode" in the message, at any depth, that is not 0 (E_NONE).
void message_each_error(const struct message_type *type, const void *message,
                        void (*each)(void *arg, int16_t code), void *arg);

// `count` elements of `size` bytes, each a copy of *defaults; NULL when out of memory or when count is
// negative. The generated X_new functions call it.
void *message_array_new(struct arena *arena, const void *defaults, size_t size, int32_t count);

// ---- decode

// Where and why a decode failed, for a log line. All static text.
struct message_error {
    const char *structure; // "FetchPartition"
    const char *field;     // "fetchOffset"; NULL in the tagged fields' framing
    const char *reason;
    size_t at; // byte of the input
};

// Decoding allocates at most this many bytes of the arena per byte of input (test_codec checks it against the
// tables), so an arena's limit of MESSAGE_MEMORY_FACTOR * size always suffices.
#define MESSAGE_MEMORY_FACTOR 22

// Decodes `in` into *out (type->size_bytes bytes). Strings, bytes and records are views into `in`, arrays and
// nullable structs live in the arena. *used gets the bytes that the message takes; used NULL means that it
// must take all of `in`. Unknown tagged fields are skipped. Returns 0 or
//   ERR_UNSUPPORTED  the type does not have this version
//   ERR_TRUNCATED    a field reaches beyond the input
//   ERR_LIMIT        an array's count that the bytes left cannot justify, or a string above 32,767 bytes
//   ERR_CORRUPT      null where it may not be, a length below -1, bad UTF-8, an overlong varint, tags that
//   repeat
//                    or are out of order, a tagged field of another size, trailing bytes
//   ERR_NOMEM        the arena is exhausted
// On an error *out is partly filled and only good for being thrown away.
int message_decode_explain(const struct message_type *type, int16_t version, struct bytes in,
                           struct arena *arena, void *out, size_t *used, struct message_error *error);

static inline int message_decode(const struct message_type *type, int16_t version, struct bytes in,
                                 struct arena *arena, void *out, size_t *used)
{
    return message_decode_explain(type, version, in, arena, out, used, NULL);
}

// ---- encode

struct encode_target {
    uint8_t *at, *end; // at moves on
    // Called, if set, for each external record set where its bytes belong: `at` is the place, behind its
    // length.
    void (*external)(void *context, const struct records *records, uint8_t *at);
    void *context;
};

// The exact size of the encoded message: *inline_bytes of encode's output and *external_bytes of external
// records, which come in between (either pointer may be NULL). Returns 0 or
//   ERR_UNSUPPORTED  the type does not have this version, or a field that this version lacks is set to
//   something
//                    other than its default and is not ignorable
//   ERR_INVALID      null where it may not be in this version
//   ERR_LIMIT        a string above 32,767 bytes, or a length that does not fit its field
int message_size(const struct message_type *type, int16_t version, const void *message, size_t *inline_bytes,
                 size_t *external_bytes);

// Writes the message. Errors as message_size (but a field that the version lacks is not looked at: ask
// message_size first); ERR_LIMIT also when the target is too small.
int message_encode(const struct message_type *type, int16_t version, const void *message,
                   struct encode_target *target);

// Both in one: the encoded message in the arena's memory. External records are refused (ERR_INVALID);
// ERR_NOMEM.
int message_to_bytes(const struct message_type *type, int16_t version, const void *message,
                     struct arena *arena, struct bytes *out);

// ---- JSON

// Appends the message as Kafka's JSON: names begin with a lower-case letter, bytes and records are base64, a
// uuid is Kafka's text, tagged fields appear only when they are set. External records appear as their size in
// "<name>SizeInBytes". Returns 0, ERR_UNSUPPORTED (version) or ERR_NOMEM.
int message_json(const struct message_type *type, int16_t version, const void *message, struct buffer *out);

// The same for a log, where neither secrets nor much may stand: bytes and records appear as their size in any
// case, and once `most` bytes are written, texts as their size ("(300 bytes)") and what is left of an array
// as its count ("(12 more)"). It stays JSON, and passes `most` by little: what a started element still has.
int message_json_brief(const struct message_type *type, int16_t version, const void *message, size_t most,
                       struct buffer *out);

// Appends one text as JSON; null for a null view.
void message_json_text(struct buffer *out, struct str s);

#endif
