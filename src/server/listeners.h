// The node's listeners: bound, and as others are told to reach them.
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include "config/broker_config.h"
#include "metadata/image.h"
#include "server/reactor.h"

struct listeners {
    struct arena arena;
    struct image_endpoint *broker, *controller; // ports resolved, advertised hosts
    uint32_t broker_count, controller_count;
};

// Binds every listener of the configuration; port 0 becomes a free one, and one log line, the log's first,
// says which. 0, or an error with one line of reason.
int listeners_open(struct listeners *l, const struct broker_config *config, struct reactors *reactors,
                   char *reason, size_t reason_bytes);
void listeners_free(struct listeners *l);

// The configuration's listeners have changed: those of new names are opened, those whose name is gone are
// closed. Others stay as they are, whatever their address is now; and what the controller was told of this
// broker stays until the next start (as in Kafka). A port that is taken is logged. Not on a reactor.
void listeners_follow(const struct broker_config *config, struct reactors *reactors);

#endif
