// What gen_settings.py makes of settings.txt. For setting.c.
#ifndef CONFIG_SETTING_TABLE_H
#define CONFIG_SETTING_TABLE_H

#include "config/setting.h"

struct setting_list {
    const struct setting *settings;
    const unsigned short *order; // positions in `settings`, sorted by name
    size_t count;
};

extern const struct setting_list setting_lists[SETTING_SCOPES];

#endif
