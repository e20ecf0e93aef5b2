/* /metrics, in Prometheus' text format 0.0.4. */
#ifndef LISTENER_METRICS_H
#define LISTENER_METRICS_H

#include <event2/buffer.h>

#include "ipc/config.h"
#include "listener/metric_rows.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends all of TOLD that has a meaning in MODE. Pure. */
void metrics_print(struct evbuffer *out, const struct metrics_told *told, uint8_t mode);

#endif
