#include "storage/log_dir.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "os/workers.h"
#include "storage/text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOCK_FILE         ".lock"
#define META_FILE         "meta.properties"
#define CLEAN_MARKER_FILE ".kafka_cleanshutdown"
#define BOOT_ID_FILE      "odradek-boot-id"

#define LOADER_THREADS 4 // at most; started when there is a log to load

static int say(char *message, size_t size, int rc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int say(char *message, size_t size, int rc, const char *format, ...)
{
    va_list args;
    if (message && size) {
        va_start(args, format);
        vsnprintf(message, size, format, args);
        va_end(args);
    }
    return rc;
}

// Why the last call on a file failed, as the system says it: "Read-only file system".
static const char *reason(int rc)
{
    return rc == ERR_IO ? strerror(errno) : err_text(rc);
}

static int read_text(const char *dir, const char *name, struct buffer *out)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return ERR_INVALID;
    return file_read_whole(path, (size_t)1 << 20, out);
}

// ---------------------------------------------------------------- meta.properties

// Undoes the escapes of Java's properties that such values can have ("\:" and "\=").
static size_t unescape(char *to, size_t room, struct str from)
{
    size_t n = 0;
    for (size_t i = 0; i < from.size && n + 1 < room; i++) {
        if (from.data[i] == '\\' && i + 1 < from.size)
            i++;
        to[n++] = from.data[i];
    }
    to[n] = 0;
    return n;
}

// Splits "key=value" (or with ':' or a blank).
static bool split_property(struct str line, struct str *key, struct str *value)
{
    while (line.size && (*line.data == ' ' || *line.data == '\t'))
        line.data++, line.size--;
    if (line.size == 0 || *line.data == '#' || *line.data == '!')
        return false;
    size_t n = 0;
    while (n < line.size && !strchr("=: \t", line.data[n]))
        n++;
    *key = (struct str){line.data, n};
    while (n < line.size && strchr("=: \t", line.data[n]))
        n++;
    *value = (struct str){line.data + n, line.size - n};
    return true;
}

static int parse_meta(struct str text, struct meta_properties *out)
{
    struct str line, key, value;
    int64_t version = -1, node = -1;
    *out = (struct meta_properties){.node_id = -1};
    while (text_line(&text, &line)) {
        char plain[256];
        if (!split_property(line, &key, &value))
            continue;
        struct str v = {plain, unescape(plain, sizeof plain, value)};
        if (str_is(key, "version") && !text_number(&v, &version))
            return ERR_CORRUPT;
        if ((str_is(key, "node.id") || str_is(key, "broker.id")) && !text_number(&v, &node))
            return ERR_CORRUPT;
        if (str_is(key, "cluster.id")) {
            if (v.size >= sizeof out->cluster_id)
                return ERR_CORRUPT;
            memcpy(out->cluster_id, plain, v.size + 1);
        }
        if (str_is(key, "directory.id") && uuid_parse(v, &out->directory_id))
            return ERR_CORRUPT;
    }
    if (version < 0 || version > 1 || node > INT32_MAX)
        return ERR_CORRUPT;
    out->node_id = (int32_t)node;
    return 0;
}

int log_dir_read_meta(const char *dir, struct meta_properties *out)
{
    struct buffer text = BUFFER_INIT;
    int rc = read_text(dir, META_FILE, &text);
    if (rc == 0)
        rc = parse_meta((struct str){(const char *)text.data, text.size}, out);
    buffer_free(&text);
    return rc;
}

static int read_meta(struct log_dir *d, char *message, size_t size)
{
    int rc = log_dir_read_meta(d->path, &d->meta);
    d->has_meta = rc == 0;
    if (rc == ERR_NOT_FOUND)
        return 0;
    return rc ? say(message, size, rc, "%s/" META_FILE " cannot be read: %s", d->path, err_text(rc)) : 0;
}

int log_dir_write_meta(struct log_dir *d, const struct meta_properties *meta)
{
    struct buffer text = BUFFER_INIT;
    char date[64], id[UUID_TEXT_BYTES];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a %b %d %H:%M:%S UTC %Y", &tm);
    buffer_printf(&text, "#\n#%s\n", date);
    buffer_printf(&text, "node.id=%d\n", meta->node_id);
    if (!uuid_is_zero(&meta->directory_id)) {
        uuid_text(&meta->directory_id, id);
        buffer_printf(&text, "directory.id=%s\n", id);
    }
    buffer_printf(&text, "version=1\ncluster.id=%s\n", meta->cluster_id);
    int rc = text.failed ? ERR_NOMEM : file_replace(d->path, META_FILE, text.data, text.size);
    buffer_free(&text);
    if (rc == 0) {
        d->meta = *meta;
        d->has_meta = true;
    }
    return rc;
}

// ---------------------------------------------------------------- the marker of a clean stop

static int64_t number_behind(struct str text, const char *key)
{
    const char *at = memmem(text.data, text.size, key, strlen(key));
    if (!at)
        return -1;
    at += strlen(key);
    const char *end = text.data + text.size;
    while (at < end && (*at == ' ' || *at == ':' || *at == '"'))
        at++;
    size_t n = 0;
    while (at + n < end && (at[n] == '-' || (at[n] >= '0' && at[n] <= '9')))
        n++;
    int64_t v;
    struct str digits = {at, n};
    return text_number(&digits, &v) ? v : -1;
}

static void read_marker(struct log_dir *d)
{
    struct buffer text = BUFFER_INIT;
    d->clean = read_text(d->path, CLEAN_MARKER_FILE, &text) == 0;
    d->broker_epoch = d->clean && text.size
                          ? number_behind((struct str){(const char *)text.data, text.size}, "\"brokerEpoch\"")
                          : -1;
    buffer_free(&text);
}

int log_dir_write_clean_marker(struct log_dir *d, int64_t broker_epoch)
{
    char text[64];
    int n = snprintf(text, sizeof text, "{\"version\":0,\"brokerEpoch\":%" PRId64 "}", broker_epoch);
    return file_replace(d->path, CLEAN_MARKER_FILE, text, (size_t)n);
}

int log_dir_remove_clean_marker(struct log_dir *d)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" CLEAN_MARKER_FILE, d->path) >= (int)sizeof path)
        return ERR_INVALID;
    int rc = file_unlink(path);
    if (rc == ERR_NOT_FOUND)
        return 0;
    return rc ? rc : file_sync_dir(d->path);
}

// ---------------------------------------------------------------- open and close

static int lock_dir(struct log_dir *d, char *message, size_t size)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" LOCK_FILE, d->path) >= (int)sizeof path)
        return say(message, size, ERR_INVALID, "the path %s is too long", d->path);
    d->lock_fd = file_open(path, O_RDWR | O_CREAT);
    if (d->lock_fd < 0)
        return say(message, size, d->lock_fd, "cannot open %s: %s", path, reason(d->lock_fd));
    int rc = file_lock(d->lock_fd);
    if (rc == ERR_AGAIN)
        return say(message, size, rc, "%s is in use by another broker (its .lock is held)", d->path);
    return rc ? say(message, size, rc, "cannot lock %s: %s", path, reason(rc)) : 0;
}

static struct log_dir *log_dir_new(const char *path)
{
    struct log_dir *d = calloc(1, sizeof *d);
    if (!d || !(d->path = strdup(path)) ||
        !(d->health.loaders = workers_new("loader", LOADER_THREADS, UINT_MAX))) {
        free(d ? d->path : NULL);
        free(d);
        return NULL;
    }
    d->lock_fd = -1;
    d->broker_epoch = -1;
    for (size_t n = strlen(d->path); n > 1 && d->path[n - 1] == '/';)
        d->path[--n] = 0;
    d->health.path = d->path;
    return d;
}

struct log_dir *log_dir_absent(const char *path)
{
    struct log_dir *d = log_dir_new(path);
    if (d)
        atomic_store(&d->health.failed, true);
    return d;
}

int log_dir_open(const char *path, struct log_dir **out, char *message, size_t size)
{
    *out = NULL;
    struct log_dir *d = log_dir_new(path);
    if (!d)
        return ERR_NOMEM;
    int rc = file_make_dirs(d->path);
    if (rc)
        say(message, size, rc, "cannot make the log directory %s: %s", d->path, reason(rc));
    if (rc == 0)
        rc = lock_dir(d, message, size);
    if (rc == 0)
        rc = read_meta(d, message, size);
    if (rc) {
        log_dir_close(d);
        return rc;
    }
    read_marker(d);
    *out = d;
    return 0;
}

void log_dir_close(struct log_dir *d)
{
    if (!d)
        return;
    workers_free(d->health.loaders);
    file_close(d->lock_fd);
    free(d->path);
    free(d);
}

static int note_other(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, LOCK_FILE) == 0 || strcmp(name, "lost+found") == 0 ? 0 : ERR_EXISTS;
}

int log_dir_is_empty(const struct log_dir *d)
{
    int rc = file_list(d->path, note_other, NULL);
    return rc == ERR_EXISTS ? 0 : rc ? rc : 1;
}

// ---------------------------------------------------------------- boot ids

static int running_boot_id(struct buffer *out)
{
    // Files of /proc have no size, so the whole is read in one piece.
    int fd = file_open("/proc/sys/kernel/random/boot_id", O_RDONLY);
    if (fd < 0)
        return fd;
    uint8_t raw[64];
    size_t got;
    int rc = file_read_at(fd, raw, sizeof raw, 0, &got);
    file_close(fd);
    if (rc == 0)
        buffer_append(out, raw, got);
    return rc ? rc : got == 0 ? ERR_NOT_FOUND : 0;
}

bool log_dir_is_of_this_boot(const char *dir)
{
    char path[PATH_MAX];
    struct buffer noted = BUFFER_INIT, running = BUFFER_INIT;
    bool same = snprintf(path, sizeof path, "%s/" BOOT_ID_FILE, dir) < (int)sizeof path &&
                file_read_whole(path, 4096, &noted) == 0 && running_boot_id(&running) == 0 &&
                noted.size == running.size && memcmp(noted.data, running.data, noted.size) == 0;
    buffer_free(&noted);
    buffer_free(&running);
    return same;
}

int log_dir_note_boot(const char *dir)
{
    struct buffer running = BUFFER_INIT;
    int rc = log_dir_is_of_this_boot(dir) ? 0 : running_boot_id(&running);
    if (rc == 0 && running.size)
        rc = file_replace_unsynced(dir, BOOT_ID_FILE, running.data, running.size); // of use to this boot only
    buffer_free(&running);
    return rc == ERR_NOT_FOUND ? 0 : rc; // without one every unclean start checks everything
}
