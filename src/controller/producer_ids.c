// Blocks of producer ids (KIP-730): the record is durable before anybody gets the block, so no id comes
// twice.
#include "base/error.h"
#include "controller/controller_internal.h"

#define BLOCK_IDS 1000

int on_allocate_producer_ids(struct step *s)
{
    const struct allocate_producer_ids_request *q = s->event->request;
    struct allocate_producer_ids_response *response = step_respond(s, &allocate_producer_ids_response_type);
    if (!response)
        return ERR_NOMEM;
    response->error_code = broker_check_epoch(s->c->image, q->broker_id, q->broker_epoch);
    if (response->error_code != E_NONE)
        return 0;
    int64_t first = s->c->image->next_producer_id >= 0 ? s->c->image->next_producer_id : 0;
    if (first > INT64_MAX - BLOCK_IDS) {
        response->error_code = E_UNKNOWN_SERVER_ERROR;
        return 0;
    }
    struct producer_ids_record r = {
        .broker_id = q->broker_id, .broker_epoch = q->broker_epoch, .next_producer_id = first + BLOCK_IDS};
    step_emit(s, &producer_ids_record_type, 0, &r);
    response->producer_id_start = first;
    response->producer_id_len = BLOCK_IDS;
    return 0;
}
