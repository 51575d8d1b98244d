// What is wrong with single records, in Kafka's words. Private to batch validation.
#ifndef STORAGE_BATCH_COMPLAINTS_H
#define STORAGE_BATCH_COMPLAINTS_H

#include "storage/batch_validate.h"
#include "storage/record_source.h"

#define COMPLAINTS_SHOWN 3 // in the response's message

struct complaints {
    const struct batch_header *header;
    const struct batch_rules *rules;
    int64_t now_ms;
    bool skips_bodies;   // Kafka would only skim the records, and name them accordingly
    struct arena *arena; // of everything that comes out
    struct batch_record_error *list;
    size_t listed;
    int32_t count;
    bool about_time;
};

// Whether a record of this time may be appended to a topic with CreateTime.
static inline bool complaint_time_in_range(const struct batch_rules *rules, int64_t now_ms,
                                           int64_t timestamp_ms)
{
    int64_t age = (int64_t)((uint64_t)now_ms - (uint64_t)timestamp_ms); // wraps as Java's does
    return age <= rules->before_max_ms && (int64_t)(0 - (uint64_t)age) <= rules->after_max_ms;
}

// Adds what is wrong with record `index`, if anything. 0 or ERR_NOMEM.
int complaints_consider(struct complaints *c, int32_t index, const struct record_fields *f);

// Writes the verdict, if there are complaints. 0 or ERR_NOMEM.
int complaints_verdict(const struct complaints *c, struct batch_verdict *v);

#endif
