// What /metrics has to ask the broker for, as a client does.
#include "http/groups.h"
#include "http/keys.h"
#include "http/logdirs.h"
#include "http/metrics.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>

#define TXN_STATES 16

static double number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : -1;
}

static struct str text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return str_from(text ? text : "");
}

// A sample for each object of the array that has the number.
static void add_each(struct exposition *e, const json_t *all, const char *label, const char *key,
                     const char *field)
{
    size_t i;
    const json_t *one;
    json_array_foreach(all, i, one)
    {
        double value = number_of(one, field);
        if (value >= 0)
            exposition_add(e, &(struct metric_label){label, text_of(one, key)}, 1, value);
    }
}

// A name that is shown as it is, so that no two are shown as the same, and of a bounded size. Clients choose
// them.
static bool is_fit(const json_t *id)
{
    const char *text = json_string_value(id);
    size_t size = json_string_length(id);
    return size <= METRICS_NAME_BYTES && strlen(text) == size && !strstr(text, "\xef\xbf\xbd") &&
           !str_equal((struct str){text, size}, METRICS_OTHERS);
}

// Those whose names are not fit for a label go to the others.
static void leave_out_unfit(json_t *groups, int64_t *others_lag)
{
    for (size_t i = json_array_size(groups); i-- > 0;) {
        const json_t *group = json_array_get(groups, i);
        double lag = number_of(group, "lag");
        if (is_fit(json_object_get(group, "id")))
            continue;
        *others_lag += lag > 0 ? (int64_t)lag : 0;
        json_array_remove(groups, i);
    }
}

static bool add_groups(struct exposition *e, struct http_request *r)
{
    int32_t count = 0;
    int64_t others_lag = 0;
    json_t *groups = groups_load(r, METRICS_GROUPS, &count, &others_lag);
    leave_out_unfit(groups, &others_lag);
    exposition_one(e, "odradek_groups", "gauge", "Groups that this broker coordinates.", count);
    exposition_family(e, "odradek_group_members", "gauge", "Members of the group.");
    add_each(e, groups, "group", "id", "members");
    exposition_family(e, "odradek_group_lag_records", "gauge",
                      "Records behind the group's committed offsets, over all its partitions.");
    add_each(e, groups, "group", "id", "lag");
    if (groups)
        exposition_add(e, &(struct metric_label){"group", METRICS_OTHERS}, 1, (double)others_lag);
    exposition_family(e, "odradek_group_lag_seconds", "gauge",
                      "Age of the oldest record that the group has not consumed.");
    add_each(e, groups, "group", "id", "lagSeconds");
    bool found = groups != NULL;
    json_decref(groups);
    return found;
}

struct txn_state {
    struct str name;
    int count;
};

static bool add_transactions(struct exposition *e, struct http_request *r)
{
    struct list_transactions_request request = list_transactions_request_default;
    struct list_transactions_response response;
    struct txn_state states[TXN_STATES];
    size_t known = 0;
    exposition_family(e, "odradek_transactions", "gauge",
                      "Transactional ids that this broker coordinates, by state.");
    if (!http_call(r, KEY_LIST_TRANSACTIONS, 1, &request, &response) || response.error_code != E_NONE)
        return false;
    for (int32_t i = 0; i < response.transaction_states_count; i++) {
        struct str name = response.transaction_states[i].transaction_state;
        size_t at = 0;
        while (at < known && !str_equal(states[at].name, name))
            at++;
        if (at == known && known < TXN_STATES)
            states[known++] = (struct txn_state){.name = name};
        if (at < known)
            states[at].count++;
    }
    for (size_t i = 0; i < known; i++)
        exposition_add(e, &(struct metric_label){"state", states[i].name}, 1, states[i].count);
    return true;
}

static bool add_directories(struct exposition *e, struct http_request *r)
{
    size_t i;
    const json_t *d;
    json_t *all = http_logdirs_json(r);
    exposition_family(e, "odradek_log_directory_size_bytes", "gauge", "Size of the logs in the directory.");
    add_each(e, all, "directory", "path", "logBytes");
    exposition_family(e, "odradek_log_directory_partitions", "gauge", "Partitions in the directory.");
    add_each(e, all, "directory", "path", "partitions");
    exposition_family(e, "odradek_log_directory_volume_bytes", "gauge", "Size of the directory's volume.");
    add_each(e, all, "directory", "path", "totalBytes");
    exposition_family(e, "odradek_log_directory_available_bytes", "gauge",
                      "What the directory's volume has left.");
    add_each(e, all, "directory", "path", "usableBytes");
    exposition_family(e, "odradek_log_directory_offline", "gauge", "1: the directory is off line.");
    json_array_foreach(all, i, d) exposition_add(e, &(struct metric_label){"directory", text_of(d, "path")},
                                                 1, json_is_string(json_object_get(d, "error")));
    bool found = all != NULL;
    json_decref(all);
    return found;
}

bool metrics_add_slow(struct exposition *e, const struct http_params *broker)
{
    struct http_request r = {.broker = broker, .client.fd = -1};
    arena_init(&r.arena, 0);
    bool all = add_groups(e, &r);
    all &= add_transactions(e, &r);
    all &= add_directories(e, &r);
    client_close(&r.client);
    arena_free(&r.arena);
    free(r.content);
    return all;
}
