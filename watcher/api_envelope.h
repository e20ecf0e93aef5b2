/* What every object in protobuf comes in: "k8s\0" and an Unknown (watcher/kube.proto). */
#ifndef WATCHER_API_ENVELOPE_H
#define WATCHER_API_ENVELOPE_H

#include <stddef.h>

#define API_ENVELOPE_MAGIC "k8s" /* and its NUL */

/*
 * The message in the envelope that the *LEN BYTES are, valid until proto_release(), and its length
 * in *LEN. NULL if they are none.
 */
const void *api_envelope_open(const void *bytes, size_t *len);

#endif
