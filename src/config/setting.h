// One setting: its name, type, default and check, as Apache Kafka 4.3.1 defines them, and the parsing of its
// values with Kafka's own messages (they travel in the answers of CreateTopics and IncrementalAlterConfigs).
// The table is made from settings.txt at build time. Pure; any thread.
#ifndef CONFIG_SETTING_H
#define CONFIG_SETTING_H

#include "base/arena.h"
#include "base/bytes.h"

// Kafka's numbers (DescribeConfigs' ConfigType).
enum setting_type {
    SETTING_BOOLEAN = 1,
    SETTING_STRING = 2,
    SETTING_INT = 3,
    SETTING_SHORT = 4,
    SETTING_LONG = 5,
    SETTING_DOUBLE = 6,
    SETTING_LIST = 7,
    SETTING_CLASS = 8,
    SETTING_PASSWORD = 9,
};

enum setting_scope {
    SETTING_BROKER,
    SETTING_TOPIC,
    SETTING_GROUP,
    SETTING_CLIENT_METRICS,
    SETTING_SCOPES,
};

enum setting_importance { SETTING_HIGH, SETTING_MEDIUM, SETTING_LOW };

// How a change of a broker's setting takes effect.
enum setting_update { SETTING_READ_ONLY, SETTING_PER_BROKER, SETTING_CLUSTER_WIDE };

enum setting_check {
    SETTING_CHECK_NONE,
    SETTING_CHECK_RANGE,       // minimum to maximum
    SETTING_CHECK_RANGE_OR,    // or `other`
    SETTING_CHECK_IN,          // a text, or each entry of a list, is one of `allowed`
    SETTING_CHECK_IN_ANY_CASE, // the same, whatever the case
    SETTING_CHECK_NOT_EMPTY,   // a text, when there is one
    SETTING_CHECK_NOT_NULL,
    SETTING_CHECK_REPLICAS, // `*` or partition:broker
    SETTING_CHECK_VOTERS,   // id@host:port
    SETTING_CHECK_SERVERS,  // host:port
    SETTING_CHECK_RESET,    // latest, earliest or by_duration:...
};

struct setting {
    const char *name;
    const char *default_text; // NULL: null, or required
    const char *documentation;
    const char *const *allowed; // ends with NULL; or NULL
    const char *const
        *behind; // broker settings that give the default, first come first; ends with NULL; or NULL
    double minimum, maximum; // maximum is infinite when there is none
    const char *minimum_text, *maximum_text;
    int64_t other;
    enum setting_type type;
    enum setting_importance importance;
    enum setting_update update;
    enum setting_check check;
    bool required;           // has no default
    bool unique;             // a list: entries are not empty, and repeated ones are dropped
    bool list_not_empty;     // a list with at least one entry
    bool internal;           // shown only when it is set
    bool without_effect;     // concerns Kafka's Java runtime or its thread pools only
    bool without_effect_yet; // nothing here heeds it so far
};

// The settings of a scope, in Kafka's order of checking for topics.
const struct setting *setting_table(enum setting_scope scope, size_t *count);

// NULL when there is no such setting. Names are case-sensitive.
const struct setting *setting_find(enum setting_scope scope, struct str name);

// The known name of the scope that is closest to `name` in edit distance, if it is close enough to be a slip;
// else NULL. Names of internal settings are not offered.
const struct setting *setting_closest(enum setting_scope scope, struct str name);

// A parsed value. null is a null of any type.
struct setting_value {
    bool null;
    bool boolean;
    int64_t integer; // int, short, long
    double real;
    struct str text;     // string, class, password: trimmed
    struct str *entries; // a list: trimmed
    size_t count;
};

// Parses and checks a text as Kafka does. text may be null. Returns 0; ERR_INVALID with Kafka's message in
// *message; ERR_NOMEM. Texts in *out lie in the arena or in `text`. message may be NULL.
int setting_parse(const struct setting *s, struct str text, struct arena *arena, struct setting_value *out,
                  struct str *message);

// The value as Kafka writes it ("compact,delete", "0.5", "true"), in the arena; a null view for null.
struct str setting_format(const struct setting *s, const struct setting_value *value, struct arena *arena);

// A double as Java's Double.toString writes it: "0.5", "1.0E-5", "1.7976931348623157E308".
struct str setting_format_double(double v, struct arena *arena);

// java.lang.String.trim: strips everything up to U+0020 at both ends.
struct str setting_trim(struct str s);

#endif
