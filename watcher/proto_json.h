/*
 * Protobuf (watcher/kube.proto) to the tree that the same object has in JSON, so that one decoder
 * reads both. protobuf-c unpacks into memory that has a bound and is given back in one go.
 */
#ifndef WATCHER_PROTO_JSON_H
#define WATCHER_PROTO_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/*
 * What may be unpacked before proto_release(): an event is unpacked three times over (event,
 * envelope, object). Two bytes on the wire can stand for an empty message of two hundred.
 */
#define PROTO_MEMORY_MAX (16u * 1024 * 1024)
/*
 * The longest list within an object. An Endpoints of a server before 1.22, which did not cut them
 * at 1,000 addresses, fits etcd's 1.5 MiB with some 10,000.
 */
#define PROTO_REPEATED_MAX 16384u

/*
 * Unpacks the LEN bytes of a message of TYPE. It is valid until proto_release(). NULL if they are
 * no such message, or need too much memory.
 */
const void *proto_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len);

/*
 * The same as a JSON object in *OUT, which the caller owns. NULL, or what is wrong in words. An
 * absent field and an empty list are absent; a map is an object; a time is RFC 3339's.
 */
const char *proto_to_json(
    json_t **out, const ProtobufCMessageDescriptor *type, const void *bytes, size_t len);

/* Takes back what proto_unpack() and proto_to_json() used. */
void proto_release(void);

#endif
