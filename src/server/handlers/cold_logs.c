#include "server/handlers/cold_logs.h"

#include "metadata/image.h"
#include "server/broker.h"

bool is_cold_log(const struct request *r, struct str topic, int32_t partition)
{
    int16_t error;
    struct partition *p =
        replica_manager_find(broker_of(r)->replicas, image_topic(image_current(), topic), partition, &error);
    bool cold = p && log_is_cold(p->log);
    partition_unref(p);
    return cold;
}
