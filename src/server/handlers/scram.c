// DescribeUserScramCredentials, answered from the image; AlterUserScramCredentials, decided by the
// controller.
#include "base/error.h"
#include "base/map.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/request.h"

#define credential_result describe_user_scram_credentials_response_describe_user_scram_credentials_result
#define credential_info   describe_user_scram_credentials_response_credential_info

#define MECHANISMS 2

// One user that is asked for.
struct asked {
    struct str name;
    bool twice;
};

struct describing {
    struct request *request;
    const struct image *image;
    struct asked *users;
    int32_t count;
    struct map by_name;
};

static int add_user(struct describing *d, struct str name, bool again)
{
    struct asked *user = map_get(&d->by_name, name);
    if (user) {
        user->twice |= again;
        return 0;
    }
    user = &d->users[d->count++];
    *user = (struct asked){name, false};
    return map_put(&d->by_name, name, user);
}

// Those that the request names, or all that have credentials.
static int find_users(struct describing *d)
{
    const struct describe_user_scram_credentials_request *q = d->request->message;
    bool all = q->users_count <= 0;
    size_t most = all ? d->image->scram.count : (size_t)q->users_count;
    d->users = arena_zalloc(&d->request->arena, most + 1, sizeof *d->users);
    int rc = d->users ? 0 : ERR_NOMEM;
    for (int32_t i = 0; !all && i < q->users_count && !rc; i++)
        rc = add_user(d, q->users[i].name, true);
    struct hamt_walk walk = hamt_walk(&d->image->scram);
    for (const struct image_scram *s; all && !rc && (s = hamt_next(&walk));)
        rc = add_user(d, s->key.user, false);
    return rc;
}

static int fill_user(struct describing *d, const struct asked *user, struct credential_result *out)
{
    struct arena *arena = &d->request->arena;
    out->user = user->name;
    out->credential_infos = describe_user_scram_credentials_response_credential_info_new(arena, MECHANISMS);
    if (!out->credential_infos)
        return ERR_NOMEM;
    for (int8_t m = SCRAM_SHA_256; !user->twice && m <= SCRAM_SHA_512; m++) {
        const struct image_scram *s = image_scram(d->image, m, user->name);
        if (s)
            out->credential_infos[out->credential_infos_count++] =
                (struct credential_info){.mechanism = m, .iterations = s->iterations};
    }
    if (out->credential_infos_count > 0)
        return 0;
    out->error_code = user->twice ? E_DUPLICATE_RESOURCE : E_RESOURCE_NOT_FOUND;
    out->error_message = arena_printf(
        arena,
        user->twice ? "Cannot describe SCRAM credentials for the same user twice in a single request: %.*s"
                    : "Attempt to describe a user credential that does not exist: %.*s",
        STR_ARG(user->name));
    return 0;
}

static void handle_describe(struct request *r)
{
    struct describe_user_scram_credentials_response out;
    message_init(&describe_user_scram_credentials_response_type, &out);
    if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        out.error_code = E_CLUSTER_AUTHORIZATION_FAILED;
        out.error_message = str_from(error_code_message(E_CLUSTER_AUTHORIZATION_FAILED));
        request_respond(r, &out);
        return;
    }
    struct describing d = {.request = r, .image = image_current()};
    int rc = find_users(&d);
    map_free(&d.by_name);
    out.results = describe_user_scram_credentials_response_describe_user_scram_credentials_result_new(
        &r->arena, d.count);
    if (!out.results)
        rc = ERR_NOMEM;
    for (int32_t i = 0; i < d.count && !rc; i++)
        rc = fill_user(&d, &d.users[i], &out.results[out.results_count++]);
    if (rc)
        request_close(r, "out of memory for the response to DescribeUserScramCredentials");
    else
        request_respond(r, &out);
}

const struct api_handler describe_user_scram_credentials_handler = {.api_key = 50,
                                                                    .min_version = 0,
                                                                    .max_version = 0,
                                                                    .advertised_min_version = -1,
                                                                    .listeners = LISTENER_BROKER,
                                                                    .worker_bytes = HEAVY_REQUEST_BYTES,
                                                                    .handle = handle_describe};

// As Kafka answers: each user once, those of the deletions first.
static void refuse_alter(struct request *r, int16_t error)
{
    const struct alter_user_scram_credentials_request *q = r->message;
    struct alter_user_scram_credentials_response out;
    message_init(&alter_user_scram_credentials_response_type, &out);
    int32_t most = q->deletions_count + q->upsertions_count;
    out.results =
        alter_user_scram_credentials_response_alter_user_scram_credentials_result_new(&r->arena, most);
    struct map seen = MAP_INIT;
    int rc = out.results ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < most && !rc; i++) {
        struct str user =
            i < q->deletions_count ? q->deletions[i].name : q->upsertions[i - q->deletions_count].name;
        if (map_get(&seen, user))
            continue;
        out.results[out.results_count].user = user;
        out.results[out.results_count].error_code = error;
        out.results[out.results_count].error_message = str_from(error_code_message(error));
        rc = map_put(&seen, user, &out.results[out.results_count++]);
    }
    map_free(&seen);
    if (rc)
        request_close(r, "out of memory for the response to AlterUserScramCredentials");
    else
        request_respond(r, &out);
}

static void handle_alter(struct request *r)
{
    if (request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        forward_to_controller(r, refuse_alter);
    else
        refuse_alter(r, E_CLUSTER_AUTHORIZATION_FAILED);
}

const struct api_handler alter_user_scram_credentials_handler = {.api_key = 51,
                                                                 .min_version = 0,
                                                                 .max_version = 0,
                                                                 .advertised_min_version = -1,
                                                                 .listeners = LISTENER_BROKER,
                                                                 .worker_bytes = HEAVY_REQUEST_BYTES,
                                                                 .handle = handle_alter};
