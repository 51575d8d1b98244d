// What the topic commands share. For the files topic_*.c only.
#ifndef CLI_TOPIC_H
#define CLI_TOPIC_H

#include "cli/options.h"
#include "cli/output.h"
#include "client/client.h"
#include "protocol/messages.h"

#define DEFAULT_SERVERS    "127.0.0.1:9092"
#define DEFAULT_TIMEOUT_MS 30000

enum {
    API_LIST_OFFSETS = 2,
    API_METADATA = 3,
    API_CREATE_TOPICS = 19,
    API_DELETE_TOPICS = 20,
    API_DESCRIBE_CONFIGS = 32
};

struct topic_call {
    const struct command *command;
    const char *servers;
    int64_t timeout_s;
    int64_t give_up_ms; // monotonic; from topic_connect on
    bool json;
    struct str *names;
    int32_t names_count;
    struct client client;
    struct arena arena; // of requests, responses and names
    struct buffer out;
};

// The options that every topic command has; their index is that of this list, the command's own follow.
#define TOPIC_OPTIONS                                 \
    {"bootstrap", 'b', true}, {"timeout", 't', true}, \
    {                                                 \
        "json", 'j', false                            \
    }
enum { TOPIC_BOOTSTRAP, TOPIC_TIMEOUT, TOPIC_JSON, TOPIC_OWN_OPTIONS };

// Zeroed but for the defaults; room for argc names.
int topic_start(struct topic_call *t, const struct command *command, int argc);

// Takes an option of TOPIC_OPTIONS or a name. False when the value is bad (said so).
bool topic_option(struct topic_call *t, const struct options *o, int option);

// Connects. EXIT_OK, or EXIT_FAILED and said so.
int topic_connect(struct topic_call *t);

// Asks for the metadata of the named topics (of all without names). EXIT_OK, or EXIT_FAILED and said so.
int topic_metadata(struct topic_call *t, struct metadata_response *out);

// What a command does that takes names and TOPIC_OPTIONS alone: reads them, connects, calls all(). `missing`
// is said where nothing is named.
int topic_run_names(const struct command *self, int argc, char **argv, const char *missing,
                    int (*all)(struct topic_call *t));
extern const struct option topic_names_options[];

// Describes each name; in JSON as one array. EXIT_OK, or the last failure.
int topic_describe_each(struct topic_call *t,
                        int (*describe)(struct topic_call *t, struct str name, bool first));

// Writes what was printed, closes, frees; returns `status`, or EXIT_FAILED when writing failed.
int topic_finish(struct topic_call *t, int status);

// A line for a person about a failed topic: Kafka's message, or the code's.
int topic_refused(struct topic_call *t, struct str name, int16_t code, struct str message);

extern const struct command topic_list_command, topic_create_command, topic_describe_command,
    topic_delete_command, topic_alter_command;

#endif
