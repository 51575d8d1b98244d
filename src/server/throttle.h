// Quotas of clients where requests are handled: what a request costs is charged to its client, and a
// connection that has to be silent is muted, after its response, for as long as the response says (KIP-219).
// Private to the server room, but for what request.h offers to handlers. The connection's reactor.
//
// Without a quota in the image this is one load and one branch a request.
#ifndef SERVER_THROTTLE_H
#define SERVER_THROTTLE_H

#include "server/connection.h"

// Before a request's handler: whether the connection's requests come one at a time (as they do in Kafka, so
// that a throttle time holds for the very next one), and whether its time is measured.
void throttle_begin(struct request *request);

// After it: what it left to be done together is done, and counts as its time.
void throttle_pause(struct request *request);

// Charges the request's time (once), sets the response's throttle time (NULL: it is encoded already), and
// mutes the connection.
void throttle_respond(struct request *request, void *response);

// The same where there is no response.
void throttle_respond_none(struct request *request);

// Nobody mutes it any more.
void throttle_forget(struct connection *c);

#endif
