// Topics that are made because somebody asked for them (auto.create.topics.enable), and the broker's own,
// which are made on their first use.
#ifndef SERVER_AUTO_CREATE_H
#define SERVER_AUTO_CREATE_H

#include "server/broker.h"
#include "server/request.h"

#define GROUP_TOPIC       "__consumer_offsets"
#define TRANSACTION_TOPIC "__transaction_state"

// Asks the controller for the topics with the broker's defaults, or their own where they are internal, and
// does not wait. A name that is being made already is not asked for again. They count as the requester's. The
// request's reactor.
void auto_create_topics(const struct request *request, const struct str *names, size_t count);

#endif
