/*
 * The names operators know from kube-proxy: service port names, endpoints as text, and the hashes
 * in the names of chains (SEMANTICS: "iptables mode"; upstream's proxier.go portProtoHash and
 * servicePortEndpointChainName).
 */
#ifndef PLANNER_NAMES_H
#define PLANNER_NAMES_H

#include <stdint.h>

#include "applier/ipt_tables.h"
#include "common/ip.h"

#define ENDPOINT_STRLEN (IP_STRLEN + 8) /* "[", "]", ":65535" */

/* Writes "namespace/name:port", or "namespace/name" if PORT is "", into BUF and returns BUF. */
const char *names_service_port(
    char buf[SVCPORT_NAME_LEN], const char *ns, const char *name, const char *port);

/* Writes "10.0.0.1:80" or "[fd00::1]:80" (Go's net.JoinHostPort) into BUF and returns BUF. */
const char *names_endpoint(char buf[ENDPOINT_STRLEN], const struct ip_addr *addr, uint16_t port);

/* "tcp", "udp", "sctp" for an IANA number of ipc/objects.h; "" for another. */
const char *names_proto(uint8_t proto);

/* The hash in KUBE-SVC-<hash>: of the service port name and the protocol. */
void names_svc_hash(uint8_t hash[CHAIN_HASH_LEN], const char *service_port, uint8_t proto);

/* The hash in KUBE-SEP-<hash>: of both and the endpoint as text. */
void names_sep_hash(
    uint8_t hash[CHAIN_HASH_LEN], const char *service_port, uint8_t proto, const char *endpoint);

/*
 * The hash in KUBE-NET-<hash>, whose first byte is the rank: longer prefixes have a higher one. The
 * rest is of the family, the prefix and its length.
 */
void names_net_hash(uint8_t hash[CHAIN_HASH_LEN], const struct ip_cidr *net);

/*
 * A key that orders hashes as their base32 text does: strcmp(3) of the names is memcmp(3) of the
 * keys. (The alphabet's digits stand for the highest values but come first in ASCII.)
 */
#define NAMES_KEY_LEN 16
void names_hash_key(uint8_t key[NAMES_KEY_LEN], const uint8_t hash[CHAIN_HASH_LEN]);

#endif
