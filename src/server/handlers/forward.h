// Requests that the controller decides: handed to the quorum, answered when their records are committed and
// applied.
#ifndef SERVER_FORWARD_H
#define SERVER_FORWARD_H

#include "server/request.h"

// Hands request->message to the controller and parks; the connection's later requests wait, as its effect is
// still to come. `refuse` answers with the error when the controller cannot be asked (it gets the parked
// request back).
void forward_to_controller(struct request *request, void (*refuse)(struct request *request, int16_t error));

// Hands another message of the same API to the controller, what is left of the request; `finish` answers the
// parked request with the controller's response, or with its error (the response is then NULL). The context
// lies in the request's arena.
void forward_rest(struct request *request, const void *message, void *context,
                  void (*finish)(struct request *request, void *context, const void *response,
                                 int16_t error));

// As forward_to_controller, for an API whose requests say how long they may take: one that may take no time
// is refused, as in Kafka, and nothing is done.
void forward_in_time(struct request *request, int32_t timeout_ms,
                     void (*refuse)(struct request *request, int16_t error));

// The text beside the error of a refused request: one that ran out of time gets none, as in Kafka.
struct str refusal_text(int16_t error);

#endif
