#include "storage/cleaner_keys.h"

#include "base/error.h"
#include "storage/log.h"

#include <stdlib.h>

int cleaner_keys_open(struct cleaner_keys *k, size_t memory_bytes, double load_factor, size_t wanted)
{
    size_t slots = memory_bytes / CLEANER_KEY_BYTES;
    size_t most = (size_t)((double)slots * load_factor);
    *k = (struct cleaner_keys){.latest_offset = LOG_NO_OFFSET};
    if (most < 1)
        return ERR_INVALID;
    if (wanted < most) {
        most = wanted ? wanted : 1;
        slots = (size_t)((double)most / load_factor) + 1;
    }
    if (slots <= most) // an empty slot ends each search
        slots = most + 1;
    k->slots = calloc(slots, sizeof *k->slots);
    if (!k->slots)
        return ERR_NOMEM;
    k->secret = siphash_secret_random();
    k->slot_count = slots;
    k->most = most;
    return 0;
}

void cleaner_keys_close(struct cleaner_keys *k)
{
    free(k->slots);
    k->slots = NULL;
}

// The slot of the key, or the empty one where it would be.
static struct cleaner_slot *find(const struct cleaner_keys *k, struct bytes key, struct siphash *hash)
{
    *hash = siphash128(&k->secret, key.data, key.size);
    size_t i = (size_t)(((unsigned __int128)hash->low * k->slot_count) >> 64);
    while (k->slots[i].offset_plus_one &&
           (k->slots[i].hash.low != hash->low || k->slots[i].hash.high != hash->high))
        i = i + 1 < k->slot_count ? i + 1 : 0;
    return &k->slots[i];
}

bool cleaner_keys_put(struct cleaner_keys *k, struct bytes key, int64_t offset)
{
    if (k->count >= k->most) // even when the key is there: Kafka stops here, too
        return false;
    struct siphash hash;
    struct cleaner_slot *slot = find(k, key, &hash);
    k->count += slot->offset_plus_one == 0;
    *slot = (struct cleaner_slot){hash, offset + 1};
    k->latest_offset = offset;
    return true;
}

int64_t cleaner_keys_get(const struct cleaner_keys *k, struct bytes key)
{
    struct siphash hash;
    return find(k, key, &hash)->offset_plus_one - 1;
}
