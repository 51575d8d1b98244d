// Answers in an order for people: brokers list some things as their hash tables have them.
#ifndef PROTOCOL_SORTED_H
#define PROTOCOL_SORTED_H

#include "protocol/messages.h"

#include <stdlib.h>

static inline void sort_partitions(int32_t *partitions, int32_t count)
{
    if (count > 0)
        qsort(partitions, (size_t)count, sizeof *partitions, compare_int32);
}

static inline void sort_transaction(struct describe_transactions_response_transaction_state *x)
{
    if (x->topics_count > 0)
        qsort(x->topics, (size_t)x->topics_count, sizeof *x->topics, compare_by_text);
    for (int32_t i = 0; i < x->topics_count; i++)
        sort_partitions(x->topics[i].partitions, x->topics[i].partitions_count);
}

#endif
