/* What the decoders share: an object's names and labels, and lists whose bad entries are left out.
 */
#ifndef WATCHER_DECODE_META_H
#define WATCHER_DECODE_META_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "ipc/objects.h"
#include "watcher/field.h"

/*
 * Starts F for OBJECT of KIND and copies its names where they fit and are valid (NS is NULL for
 * kinds without namespaces). False after logging what is wrong with them.
 */
bool meta_open(struct fields *f, const char *kind, const json_t *object, char *ns, size_t ns_size,
    char *name, size_t name_size);

/* The label KEY, or NULL. */
const char *meta_label(const json_t *object, const char *key);

/*
 * When that happened which endpoints changed for, in milliseconds since the epoch, as their
 * controller says; 0 if it does not.
 */
uint64_t meta_caused_ms(const json_t *object);

/*
 * When OBJECT was created, in seconds since the epoch (0: it does not say), and its UID (see
 * struct service). A server sets both, so that what is no time or no text is not worth a refusal.
 */
void meta_identity(const json_t *object, uint64_t *created, uint8_t uid[SERVICE_UID_LEN]);

/*
 * Fills NAME, "" if it has none, and PROTO, an IANA number, TCP if it has none, of the port JSON at
 * PATH of any object. What is bad is logged and marks F bad.
 */
void decode_port_kind(struct fields *f, const json_t *json, const char *path,
    char name[NAME_MAX_LABEL], uint8_t *proto);

/*
 * The ports of an EndpointSlice or of an Endpoints' subset: the list "ports" of OBJECT, which is at
 * PATH, to S. One that is bad is logged and left out; the list itself may mark F bad.
 */
void decode_endpoint_ports(
    struct fields *f, const json_t *object, const char *path, struct slice *s);

/*
 * Adds the address TEXT to ADDRS if it can be a service's or an endpoint's (ip_is_endpoint). False
 * after a warning that names PATH.
 */
bool decode_address(const struct fields *f, struct ip_addr *a, const char *text, const char *path);

#endif
