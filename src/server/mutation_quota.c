#include "server/mutation_quota.h"

#define CREATE_TOPICS     19
#define DELETE_TOPICS     20
#define CREATE_PARTITIONS 37

// Since which version the quota is strict; -1: nothing of the API is charged.
static int16_t strict_since(int16_t api_key)
{
    return api_key == CREATE_TOPICS       ? 6
           : api_key == DELETE_TOPICS     ? 5
           : api_key == CREATE_PARTITIONS ? 3
                                          : -1;
}

static bool charge(void *context, int32_t partitions, int64_t now_ms)
{
    struct mutation_quota *m = context;
    int32_t throttle_ms = client_quotas_mutate(m->quotas, &m->limit, m->strict, partitions, now_ms);
    if (throttle_ms > 0) {
        m->throttle_ms = throttle_ms;
        m->charged_ms = now_ms;
    }
    return !m->strict || throttle_ms == 0;
}

void mutation_quota_attach(struct mutation_quota *m, const struct request *r, struct controller_event *event)
{
    *m = (struct mutation_quota){.quotas = reactors_quotas(r->reactor->group)};
    int16_t strict = strict_since(event->api_key);
    if (strict < 0 || !request_limit(r, QUOTA_CONTROLLER_MUTATION_RATE, &m->limit))
        return;
    // The request may be gone before its event is.
    m->limit.shared_with.user = arena_str(&event->arena, m->limit.shared_with.user);
    m->limit.shared_with.client_id = arena_str(&event->arena, m->limit.shared_with.client_id);
    m->strict = event->version >= strict;
    event->charge = charge;
    event->charge_context = m;
}

int32_t mutation_quota_throttle_ms(const struct mutation_quota *m, int64_t now_ms)
{
    int64_t left_ms = m->throttle_ms - (now_ms - m->charged_ms);
    return m->throttle_ms > 0 && left_ms > 0 ? (int32_t)left_ms : 0;
}
