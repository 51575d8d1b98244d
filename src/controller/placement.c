// Where new replicas go: leaders round the active brokers from a random one on, followers behind them, racks
// by turns, fenced brokers last (they never lead a new partition).
#include "base/error.h"
#include "controller/controller_internal.h"

#include <stdlib.h>

#define MANUAL "The manual partition assignment includes "

struct uuid replica_directory(const struct image *image, int32_t broker)
{
    const struct image_broker *b = image_broker(image, broker);
    return b && b->log_dirs_count == 1 ? b->log_dirs[0] : DIRECTORY_UNASSIGNED;
}

static bool is_cordoned(const struct image_broker *b, const struct uuid *dir)
{
    for (uint32_t i = 0; i < b->cordoned_log_dirs_count; i++)
        if (uuid_equal(&b->cordoned_log_dirs[i], dir))
            return true;
    return false;
}

// KIP-1066: a broker whose directories are all cordoned takes no new replicas.
static bool takes_replicas(const struct image_broker *b)
{
    bool any = !b->log_dirs_count;
    for (uint32_t i = 0; i < b->log_dirs_count; i++)
        any |= !is_cordoned(b, &b->log_dirs[i]);
    return any;
}

static bool is_listed(const struct image_broker *b, bool fenced)
{
    return b->fenced == fenced && takes_replicas(b);
}

// How many listed brokers before `at` have the same rack.
static uint32_t rank_in_rack(const struct image *image, uint32_t at)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < at; i++)
        rank += is_listed(image->brokers[i], image->brokers[at]->fenced) &&
                str_equal(image->brokers[i]->rack, image->brokers[at]->rack);
    return rank;
}

// The brokers of one kind, first those that are first in their racks, then the second ones, and so on.
static uint32_t list_brokers(const struct image *image, bool fenced, int32_t *out)
{
    uint32_t n = 0, seen = 0;
    for (uint32_t rank = 0; rank == 0 || seen; rank++) {
        seen = 0;
        for (uint32_t i = 0; i < image->brokers_count; i++) {
            if (is_listed(image->brokers[i], fenced) && rank_in_rack(image, i) == rank) {
                out[n++] = image->brokers[i]->id;
                seen++;
            }
        }
    }
    return n;
}

static int16_t check_factor(uint32_t active, uint32_t all, int16_t factor, struct arena *arena,
                            struct str *problem)
{
    if (active == 0)
        *problem = STR("All brokers are currently fenced, or have all their log directories cordoned.");
    else if ((uint32_t)factor > all)
        *problem = arena_printf(
            arena,
            "The target replication factor of %d cannot be reached because only %u broker(s) are "
            "registered or some brokers have all their log directories cordoned.",
            factor, all);
    else
        return E_NONE;
    return E_INVALID_REPLICATION_FACTOR;
}

int16_t place_replicas(struct controller *c, int32_t first_partition, int32_t count, int16_t factor,
                       struct arena *arena, int32_t **out, struct str *problem)
{
    const struct image *image = c->image;
    int32_t *brokers = arena_alloc(arena, (image->brokers_count + 1) * sizeof *brokers);
    int32_t *replicas = arena_alloc(arena, (size_t)count * (size_t)factor * sizeof *replicas);
    *problem = STR_NULL;
    if (!brokers || !replicas)
        return E_UNKNOWN_SERVER_ERROR;
    uint32_t active = list_brokers(image, false, brokers);
    uint32_t fenced = list_brokers(image, true, brokers + active);
    int16_t error = check_factor(active, active + fenced, factor, arena, problem);
    if (error != E_NONE)
        return error;
    uint32_t start = (uint32_t)(controller_random(c) % active),
             shift = (uint32_t)(controller_random(c) % active);
    for (int32_t p = 0; p < count; p++) {
        uint32_t number = (uint32_t)(first_partition + p);
        uint32_t leader = (start + number) % active, round = shift + number / active;
        for (uint32_t r = 0; r < (uint32_t)factor; r++) {
            uint32_t at;
            if (r == 0)
                at = leader;
            else if (r < active) // the others by turns, each round another one first
                at = (leader + 1 + (round + r - 1) % (active - 1)) % active;
            else
                at = active + (r - active + number) % fenced;
            replicas[p * factor + (int32_t)r] = brokers[at];
        }
    }
    *out = replicas;
    return E_NONE;
}

bool new_partition(struct step *s, const struct uuid *topic_id, int32_t id, int32_t *replicas, int32_t count,
                   struct partition_record *out)
{
    const struct image *image = s->c->image;
    struct arena *arena = &s->event->arena;
    *out = partition_record_default;
    out->partition_id = id;
    out->topic_id = *topic_id;
    out->replicas = replicas;
    out->replicas_count = count;
    out->leader_epoch = out->partition_epoch = 0;
    out->isr = arena_alloc(arena, (size_t)count * sizeof *out->isr);
    struct uuid *directories = arena_alloc(arena, (size_t)count * sizeof *directories);
    if (!out->isr || !directories) {
        s->effects->error = ERR_NOMEM;
        return true;
    }
    for (int32_t i = 0; i < count; i++) {
        directories[i] = replica_directory(image, replicas[i]);
        if (broker_active(image, replicas[i]))
            out->isr[out->isr_count++] = replicas[i];
    }
    if (image->metadata_version >= METADATA_VERSION_DIRECTORIES) {
        out->directories = directories;
        out->directories_count = count;
    }
    if (!out->isr_count)
        return false;
    out->leader = out->isr[0];
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int check_manual_replicas(const struct image *image, const int32_t *replicas, int32_t count, int32_t factor,
                          struct arena *arena, struct str *problem)
{
    *problem = STR(MANUAL "an empty replica list.");
    if (count <= 0)
        return ERR_INVALID;
    int32_t *sorted = arena_alloc(arena, (size_t)count * sizeof *sorted);
    if (!sorted)
        return ERR_NOMEM;
    memcpy(sorted, replicas, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_ids);
    *problem = STR_NULL;
    for (int32_t i = 0; !problem->data && i < count; i++) {
        if (!image_broker(image, sorted[i]))
            *problem = arena_printf(arena, MANUAL "broker %d, but no such broker is registered.", sorted[i]);
        else if (i && sorted[i] == sorted[i - 1])
            *problem = arena_printf(arena, MANUAL "the broker %d more than once.", sorted[i]);
    }
    if (!problem->data && factor >= 0 && count != factor)
        *problem = arena_printf(arena,
                                MANUAL
                                "a partition with %d replica(s), but this is not consistent with previous "
                                "partitions, which have %d "
                                "replica(s).",
                                count, factor);
    return problem->data ? ERR_INVALID : 0;
}
