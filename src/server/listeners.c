#include "server/listeners.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/logger.h"

#include <stdio.h>
#include <unistd.h>

#define HOST_NAME_BYTES 256

static const struct listener_config *advertised_as(const struct broker_config *c, struct str name)
{
    for (size_t i = 0; i < c->advertised_count; i++)
        if (str_equal(c->advertised[i].name, name))
            return &c->advertised[i];
    return NULL;
}

// The host that others are told: the advertised one, or this machine's name where every address is listened
// on.
static struct str host_to_tell(struct listeners *l, const struct listener_config *config,
                               const struct listener_config *told)
{
    struct str host = told ? told->host : config->host;
    if (host.size && !str_is(host, "0.0.0.0") && !str_is(host, "::"))
        return arena_str(&l->arena, host);
    char name[HOST_NAME_BYTES] = "localhost";
    if (gethostname(name, sizeof name - 1) != 0)
        log_warn("server", "this machine's name is unknown: listener %.*s is advertised as localhost",
                 STR_ARG(config->name));
    return arena_str(&l->arena, str_from(name));
}

// Binds a listener. The arena holds its texts for the call.
static int listen_on(const struct broker_config *c, const struct listener_config *config, struct arena *arena,
                     struct reactors *reactors, const struct listener **bound, char *reason,
                     size_t reason_bytes)
{
    struct listener_spec spec = {.name = arena_str(arena, config->name).data,
                                 .host = arena_str(arena, config->host).data,
                                 .port = (uint16_t)config->port,
                                 .kind = config->controller ? LISTENER_CONTROLLER : LISTENER_BROKER,
                                 .is_protected = str_equal(config->name, c->inter_broker_listener)};
    if (!spec.name || !spec.host)
        return ERR_NOMEM;
    return reactors_listen(reactors, &spec, bound, reason, reason_bytes);
}

static int open_one(struct listeners *l, const struct broker_config *c, const struct listener_config *config,
                    struct reactors *reactors, struct buffer *line, char *reason, size_t reason_bytes)
{
    const struct listener *bound;
    char why[256] = "";
    int rc = listen_on(c, config, &l->arena, reactors, &bound, why, sizeof why);
    if (rc) {
        snprintf(
            reason, reason_bytes,
            "listeners: %.*s cannot be opened: %s (an address of this machine and a free port are needed)",
            STR_ARG(config->name), why[0] ? why : err_text(rc));
        return rc;
    }
    const struct listener_config *told = advertised_as(c, config->name);
    struct image_endpoint endpoint = {.name = arena_str(&l->arena, config->name),
                                      .host = host_to_tell(l, config, told),
                                      .port = told && told->port ? (uint16_t)told->port : bound->port,
                                      .security_protocol = (int16_t)config->protocol};
    if (!endpoint.name.data || !endpoint.host.data)
        return ERR_NOMEM;
    if (config->controller)
        l->controller[l->controller_count++] = endpoint;
    else
        l->broker[l->broker_count++] = endpoint;
    buffer_printf(line, "%s%s:%d (%s)", line->size ? ", " : "", bound->host[0] ? bound->host : "*",
                  bound->port, bound->name);
    return 0;
}

int listeners_open(struct listeners *l, const struct broker_config *c, struct reactors *reactors,
                   char *reason, size_t reason_bytes)
{
    arena_init(&l->arena, 0);
    l->broker = arena_zalloc(&l->arena, c->listener_count, sizeof *l->broker);
    l->controller = arena_zalloc(&l->arena, c->listener_count, sizeof *l->controller);
    if (!l->broker || !l->controller)
        return ERR_NOMEM;
    struct buffer line = BUFFER_INIT;
    int rc = 0;
    for (size_t i = 0; i < c->listener_count && rc == 0; i++)
        rc = open_one(l, c, &c->listeners[i], reactors, &line, reason, reason_bytes);
    if (rc == 0 && line.failed)
        rc = ERR_NOMEM;
    if (rc == 0)
        log_info("server", "listening on %.*s", (int)line.size, (const char *)line.data);
    buffer_free(&line);
    return rc;
}

static void close_others(const struct broker_config *c, struct reactors *reactors)
{
    const struct listener *open[LISTENERS_MAX];
    size_t count = reactors_listeners(reactors, open);
    for (size_t i = 0; i < count; i++) {
        bool stays = false;
        for (size_t k = 0; k < c->listener_count; k++)
            stays |= str_is(c->listeners[k].name, open[i]->name);
        if (stays)
            continue;
        log_info("server", "listener %s is closed: `listeners` does not name it any more", open[i]->name);
        reactors_unlisten(reactors, open[i]->name);
    }
}

static void open_new(const struct broker_config *c, const struct listener_config *config,
                     struct reactors *reactors)
{
    const struct listener *open[LISTENERS_MAX], *bound;
    size_t count = reactors_listeners(reactors, open);
    for (size_t i = 0; i < count; i++)
        if (str_is(config->name, open[i]->name))
            return;
    char reason[256] = "";
    struct arena arena;
    arena_init(&arena, 0);
    int rc = listen_on(c, config, &arena, reactors, &bound, reason, sizeof reason);
    if (rc)
        log_error("server", "listener %.*s is not opened: %s", STR_ARG(config->name),
                  reason[0] ? reason : err_text(rc));
    else
        log_info("server", "listening on %s:%d (%s), too", bound->host[0] ? bound->host : "*", bound->port,
                 bound->name);
    arena_free(&arena);
}

void listeners_follow(const struct broker_config *c, struct reactors *reactors)
{
    close_others(c, reactors); // first: another listener may take over a port
    for (size_t i = 0; i < c->listener_count; i++)
        open_new(c, &c->listeners[i], reactors);
}

void listeners_free(struct listeners *l)
{
    arena_free(&l->arena);
}
