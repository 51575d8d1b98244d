#include "server/handlers/cold_logs.h"

#include "server/broker.h"

bool is_cold_log(const struct request *r, const struct image_topic *topic, int32_t partition)
{
    int16_t error;
    struct partition *p = replica_manager_find(broker_of(r)->replicas, topic, partition, &error);
    bool cold = p && log_is_cold(p->log);
    partition_unref(p);
    return cold;
}
