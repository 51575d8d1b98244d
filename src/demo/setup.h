// What the demo finds or makes before it begins: its topics, and the board that shows them. One thread.
#ifndef DEMO_SETUP_H
#define DEMO_SETUP_H

#include "demo/link.h"

// Makes the topics that are missing. *made: that of the views is new, so nothing has happened in the shop
// yet. 0, or a code with l->error.
int setup_topics(struct demo_link *l, bool *made);

// Keeps the board "shop", unless somebody has ever kept or deleted one of that id. The link is connected.
int setup_board(struct demo_link *l);

#endif
