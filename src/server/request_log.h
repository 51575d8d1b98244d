// A line for each request, in Kafka's words, while the logger kafka.request.logger wants it (DEBUG):
//
//   ... DEBUG kafka.request.logger: Completed request:{"isForwarded":false,
//   "requestHeader":{...},"request":{...},"response":{...},"connection":"127.0.0.1:40312","totalTimeMs":0.182,"localTimeMs":0.151,"remoteTimeMs":0.000,
//   "throttleTimeMs":0,"sendTimeMs":0.031,"securityProtocol":"PLAINTEXT","principal":...,"listener":...,
//   "clientInformation":{...}}
//
// It bears no secret (message_json_brief; values of settings that are passwords, or that nobody knows, are
// hidden), and is short however large the request is. A thread of its own writes the lines; what it cannot
// keep up with is left out, and counted. What this process asks itself is not logged.
#ifndef SERVER_REQUEST_LOG_H
#define SERVER_REQUEST_LOG_H

#include "base/logger.h"
#include "os/workers.h"
#include "server/request.h"

#define REQUEST_LOG_MESSAGE_BYTES (16 * 1024)       // of a request or a response as JSON
#define REQUEST_LOG_WAITING_BYTES (4 * 1024 * 1024) // of lines that are still to be written

// Of a group of reactors.
struct request_lines {
    struct workers *writer; // one thread, once there is a line
    _Atomic size_t waiting_bytes;
    _Atomic unsigned left_out; // since the last line that was taken
    _Atomic bool ending;       // nobody is waited for any more
};

// NULL is never passed on: reactors_create fails.
int request_lines_init(struct request_lines *lines);
// Writes what still waits, as far as the log takes it at once.
void request_lines_free(struct request_lines *lines);

static inline bool request_log_is_on(void)
{
    return logger_wants(&logger_requests, LOG_LEVEL_DEBUG);
}

// A request is decoded, by whichever thread, and about to be handled; sets request->log, NULL where there is
// no memory.
void request_log_begin(struct request *request);
// From here on with request->log set. The handler has returned.
void request_log_handled(struct request *request);
// On the thread that encodes the response, which is about to.
void request_log_response(struct request *request, const void *response);
// The response is sent (or there is none): the line is written.
void request_log_sent(struct request *request);
// Nothing is written: the connection was closed.
void request_log_drop(struct request *request);

#endif
