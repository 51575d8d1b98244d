// The coordinators of this broker, and what they follow.
#ifndef SERVER_COORDINATORS_H
#define SERVER_COORDINATORS_H

#include "server/broker.h"

// Begins to load what the image makes this broker coordinate. Once the partitions are hosted. 0, or
// ERR_NOMEM.
int coordinators_start(struct broker *broker, const struct image *image);

// Follows a change of the metadata, after the replica manager did. On the controller's thread.
void coordinators_apply(struct broker *broker, const struct image_changes *changes);

// Answers whoever waits. Before the reactors stop.
void coordinators_stop(struct broker *broker);
void coordinators_free(struct broker *broker); // once the reactors' loops are gone

#endif
