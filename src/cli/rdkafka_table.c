#include "cli/rdkafka_table.h"

#include "base/clock.h"
#include "cli/waiting.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "librdkafka.so.1"

const struct rdkafka *rdkafka_load(char *message, size_t size)
{
    static struct rdkafka table;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(message, size,
                 "producing and consuming need librdkafka, which cannot be loaded (%s); install "
                 "Debian's package librdkafka1",
                 dlerror());
        return NULL;
    }
#define RDKAFKA_LOOK_UP(name)                                                                       \
    {                                                                                               \
        void *symbol = dlsym(library, #name);                                                       \
        if (!symbol) {                                                                              \
            snprintf(message, size, "%s lacks " #name "; version 2.0 or newer is needed", LIBRARY); \
            dlclose(library);                                                                       \
            return NULL;                                                                            \
        }                                                                                           \
        memcpy(&table.name, &symbol, sizeof symbol);                                                \
    }
    RDKAFKA_FUNCTIONS(RDKAFKA_LOOK_UP)
#undef RDKAFKA_LOOK_UP
    return &table;
}

#define NOBODY_THERE_MS 3000 // since the first time that no broker could be reached

static char problem[400];   // written by librdkafka's callbacks, which run inside our own polls
static int64_t all_down_ms; // when that was; 0: not yet

const char *rdkafka_last_problem(void)
{
    return problem;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !all_down_ms)
        all_down_ms = clock_monotonic_ms();
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && *problem)
        return; // the reason came before
    snprintf(problem, sizeof problem, "%s", reason);
}

// Its log goes nowhere: what matters comes as an error.
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static bool set(const struct rdkafka *k, rd_kafka_conf_t *conf, const char *name, const char *value,
                char *message, size_t size)
{
    return k->rd_kafka_conf_set(conf, name, value, message, size) == RD_KAFKA_CONF_OK;
}

static bool set_users(const struct rdkafka *k, rd_kafka_conf_t *conf, const char *setting, char *message,
                      size_t size)
{
    const char *equals = strchr(setting, '=');
    if (!equals) {
        snprintf(message, size, "%s: expected NAME=VALUE", setting);
        return false;
    }
    char *name = strndup(setting, (size_t)(equals - setting));
    bool good = name && set(k, conf, name, equals + 1, message, size);
    free(name);
    return good;
}

rd_kafka_conf_t *rdkafka_conf(const struct rdkafka *k, const char *servers, const struct rdkafka_setting *own,
                              size_t own_count, const char *const *users, size_t user_count, char *message,
                              size_t size)
{
    rd_kafka_conf_t *conf = k->rd_kafka_conf_new();
    bool good = set(k, conf, "bootstrap.servers", servers, message, size) &&
                set(k, conf, "client.id", "odradek", message, size);
    for (size_t i = 0; good && i < own_count; i++)
        good = set(k, conf, own[i].name, own[i].value, message, size);
    for (size_t i = 0; good && i < user_count; i++)
        good = set_users(k, conf, users[i], message, size);
    if (!good) {
        k->rd_kafka_conf_destroy(conf);
        return NULL;
    }
    k->rd_kafka_conf_set_error_cb(conf, on_error);
    k->rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

bool rdkafka_wait_for_broker(const struct command *command, const struct rdkafka *k, rd_kafka_t *rk,
                             const char *servers, int64_t timeout_s, char *message, size_t size)
{
    int64_t give_up_ms = clock_monotonic_ms() + timeout_s * 1000;
    char *id;
    waiting_for(command, give_up_ms, "%s", servers);
    while (!(id = k->rd_kafka_clusterid(rk, 0))) {
        int64_t now_ms = clock_monotonic_ms();
        bool nobody = all_down_ms && now_ms - all_down_ms >= NOBODY_THERE_MS;
        if (nobody || now_ms >= give_up_ms) {
            snprintf(message, size, "%s: %s%s%s" CLI_NO_BROKER, servers,
                     nobody ? "no broker can be reached" : "no broker answers in time", *problem ? ": " : "",
                     problem);
            return false;
        }
        k->rd_kafka_poll(rk, 5);
        if (!all_down_ms)
            waiting_look(); // else it is over soon
    }
    k->rd_kafka_mem_free(rk, id);
    return true;
}
