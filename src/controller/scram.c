// AlterUserScramCredentials (KIP-554): the checks, error codes and texts of Kafka 4.3.1.
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "controller/controller_internal.h"

#define SCRAM_MIN_ITERATIONS 4096
#define SCRAM_MAX_ITERATIONS 16384

// What a request says about one user: once, or not at all.
struct wish {
    struct str user;
    const struct alter_user_scram_credentials_request_scram_credential_deletion *deletion;
    const struct alter_user_scram_credentials_request_scram_credential_upsertion *upsertion;
    int16_t error;
    struct str message;
};

struct wishes {
    struct step *step;
    struct wish *items;
    int32_t count;
    struct map by_user;
};

static void fail(struct wish *w, int16_t error, struct str message)
{
    w->error = error;
    w->message = message;
}

// The user's wish; *first: it is the first that speaks of this user. NULL: out of memory.
static struct wish *wish_of(struct wishes *all, struct str user, bool *first)
{
    struct wish *w = map_get(&all->by_user, user);
    *first = !w;
    if (w)
        return w;
    w = &all->items[all->count];
    *w = (struct wish){.user = user, .message = STR_NULL};
    if (map_put(&all->by_user, user, w))
        return NULL;
    all->count++;
    return w;
}

// Whether the wish may go on to be checked: the first about its user, whose name and mechanism are known.
static bool check(struct wishes *all, struct wish *w, bool first, int8_t mechanism)
{
    if (w->error != E_NONE)
        return false;
    if (!first)
        fail(w, E_DUPLICATE_RESOURCE, STR("A user credential cannot be altered twice in the same request"));
    else if (all->step->c->image->metadata_version < METADATA_VERSION_SCRAM)
        fail(w, E_UNSUPPORTED_VERSION, STR("The current metadata.version does not support SCRAM"));
    else if (w->user.size == 0)
        fail(w, E_UNACCEPTABLE_CREDENTIAL, STR("Username must not be empty"));
    else if (mechanism != SCRAM_SHA_256 && mechanism != SCRAM_SHA_512)
        fail(w, E_UNSUPPORTED_SASL_MECHANISM, STR("Unknown SCRAM mechanism"));
    return w->error == E_NONE;
}

static int collect(struct wishes *all, const struct alter_user_scram_credentials_request *q)
{
    bool first;
    for (int32_t i = 0; i < q->deletions_count; i++) {
        struct wish *w = wish_of(all, q->deletions[i].name, &first);
        if (!w)
            return ERR_NOMEM;
        if (!check(all, w, first, q->deletions[i].mechanism))
            continue;
        w->deletion = &q->deletions[i];
        if (!image_scram(all->step->c->image, w->deletion->mechanism, w->user))
            fail(w, E_RESOURCE_NOT_FOUND, STR("Attempt to delete a user credential that does not exist"));
    }
    for (int32_t i = 0; i < q->upsertions_count; i++) {
        struct wish *w = wish_of(all, q->upsertions[i].name, &first);
        if (!w)
            return ERR_NOMEM;
        if (!check(all, w, first, q->upsertions[i].mechanism))
            continue;
        w->upsertion = &q->upsertions[i];
        if (w->upsertion->iterations < SCRAM_MIN_ITERATIONS)
            fail(w, E_UNACCEPTABLE_CREDENTIAL, STR("Too few iterations"));
        else if (w->upsertion->iterations > SCRAM_MAX_ITERATIONS)
            fail(w, E_UNACCEPTABLE_CREDENTIAL, STR("Too many iterations"));
    }
    return 0;
}

// RFC 5802: StoredKey = H(HMAC(SaltedPassword, "Client Key")), ServerKey = HMAC(SaltedPassword, "Server
// Key").
static int emit_upsertion(struct step *s, const struct wish *w)
{
    enum digest digest = w->upsertion->mechanism == SCRAM_SHA_256 ? DIGEST_SHA_256 : DIGEST_SHA_512;
    size_t size = digest_bytes(digest);
    uint8_t client[DIGEST_MAX_BYTES], stored[DIGEST_MAX_BYTES], server[DIGEST_MAX_BYTES];
    struct bytes key = w->upsertion->salted_password;
    if (digest_hmac(digest, key, STR("Client Key"), client) ||
        digest_hash(digest, (struct bytes){client, size}, stored) ||
        digest_hmac(digest, key, STR("Server Key"), server))
        return ERR_NOMEM;
    struct user_scram_credential_record r = {.name = w->user,
                                             .mechanism = w->upsertion->mechanism,
                                             .salt = w->upsertion->salt,
                                             .stored_key = {stored, size},
                                             .server_key = {server, size},
                                             .iterations = w->upsertion->iterations};
    step_emit(s, &user_scram_credential_record_type, 0, &r);
    return 0;
}

static int emit(struct step *s, const struct wish *w)
{
    if (w->error != E_NONE)
        return 0;
    if (w->upsertion)
        return emit_upsertion(s, w);
    struct remove_user_scram_credential_record r = {.name = w->user, .mechanism = w->deletion->mechanism};
    step_emit(s, &remove_user_scram_credential_record_type, 0, &r);
    return 0;
}

int on_alter_user_scram_credentials(struct step *s)
{
    const struct alter_user_scram_credentials_request *q = s->event->request;
    struct alter_user_scram_credentials_response *response =
        step_respond(s, &alter_user_scram_credentials_response_type);
    int32_t most = q->deletions_count + q->upsertions_count;
    struct wishes all = {.step = s};
    all.items = arena_zalloc(&s->event->arena, (size_t)most + 1, sizeof *all.items);
    if (!response || !all.items)
        return ERR_NOMEM;
    int rc = collect(&all, q);
    map_free(&all.by_user);
    for (int32_t i = 0; i < all.count; i++) // of an empty password no key can be made
        if (all.items[i].error == E_NONE && all.items[i].upsertion &&
            all.items[i].upsertion->salted_password.size == 0)
            fail(&all.items[i], E_UNKNOWN_SERVER_ERROR, STR_NULL);
    response->results = alter_user_scram_credentials_response_alter_user_scram_credentials_result_new(
        &s->event->arena, all.count);
    if (!response->results)
        rc = ERR_NOMEM;
    for (int32_t i = 0; i < all.count && !rc; i++) {
        struct alter_user_scram_credentials_response_alter_user_scram_credentials_result *r =
            &response->results[response->results_count++];
        r->user = all.items[i].user;
        r->error_code = all.items[i].error;
        r->error_message = all.items[i].message;
        rc = emit(s, &all.items[i]);
    }
    return rc;
}
