// Records that wait to be appended together (group.coordinator.append.linger.ms). Private to the
// coordinator's root. The state contains them already, and whoever saw them waits for their append; should
// that fail, the state is rebuilt from the log, where they are not.
#ifndef COORDINATOR_LINGER_H
#define COORDINATOR_LINGER_H

#include "coordinator/machine.h"
#include "os/loop.h"

struct linger {
    struct arena arena; // holds the records
    struct coordinator_record *records;
    size_t count, capacity, bytes;
    size_t *ends; // behind the records of each step: they are not parted
    size_t steps, steps_capacity;
    struct list answered; // requests with their answers, in order
    struct loop_timer timer;
    struct task arm;
};

#define LINGER_BYTES 65536 // no more of them wait

void linger_init(struct linger *l);
void linger_free(struct linger *l);

// Copies the records of a step.
void linger_add(struct linger *l, const struct coordinator_effects *effects);

// What a record adds to a batch, at most.
size_t linger_cost(const struct coordinator_record *record);

// How many of the records from `from` on make a batch of no more than `limit` bytes, or of one step's.
size_t linger_batch(const struct linger *l, size_t from, size_t limit);

// Forgets the records; `answered` stays.
void linger_clear(struct linger *l);

#endif
