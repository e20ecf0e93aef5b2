#include "planner/names.h"

#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "ipc/objects.h"

const char *names_service_port(
    char buf[SVCPORT_NAME_LEN], const char *ns, const char *name, const char *port)
{
	snprintf(buf, SVCPORT_NAME_LEN, "%s/%s%s%s", ns, name, port[0] == '\0' ? "" : ":", port);
	return buf;
}

const char *names_endpoint(char buf[ENDPOINT_STRLEN], const struct ip_addr *addr, uint16_t port)
{
	char ip[IP_STRLEN];

	ip_format(addr, ip);
	snprintf(buf, ENDPOINT_STRLEN, addr->family == FAMILY_4 ? "%s:%u" : "[%s]:%u", ip, port);
	return buf;
}

const char *names_proto(uint8_t proto)
{
	switch (proto) {
	case PROTO_TCP:
		return "tcp";
	case PROTO_UDP:
		return "udp";
	case PROTO_SCTP:
		return "sctp";
	}
	return "";
}

static void hash_texts(uint8_t hash[CHAIN_HASH_LEN], const char *a, const char *b, const char *c)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)a, strlen(a));
	SHA256Update(&ctx, (const uint8_t *)b, strlen(b));
	SHA256Update(&ctx, (const uint8_t *)c, strlen(c));
	SHA256Final(digest, &ctx);
	memcpy(hash, digest, CHAIN_HASH_LEN);
}

void names_svc_hash(uint8_t hash[CHAIN_HASH_LEN], const char *service_port, uint8_t proto)
{
	hash_texts(hash, service_port, names_proto(proto), "");
}

void names_sep_hash(
    uint8_t hash[CHAIN_HASH_LEN], const char *service_port, uint8_t proto, const char *endpoint)
{
	hash_texts(hash, service_port, names_proto(proto), endpoint);
}

void names_net_hash(uint8_t hash[CHAIN_HASH_LEN], const struct ip_cidr *net)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, &net->addr.family, 1);
	SHA256Update(&ctx, net->addr.b, sizeof(net->addr.b));
	SHA256Update(&ctx, &net->bits, 1);
	SHA256Final(digest, &ctx);
	hash[0] = (uint8_t)(net->bits + 1);
	memcpy(hash + 1, digest, CHAIN_HASH_LEN - 1);
}

void names_hash_key(uint8_t key[NAMES_KEY_LEN], const uint8_t hash[CHAIN_HASH_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (unsigned i = 0, k = 0; i < CHAIN_HASH_LEN; i++) {
		bits = bits << 8 | hash[i];
		have += 8;
		while (have >= 5) {
			have -= 5;
			/* A..Z are 0..25 and 2..7 are 26..31; six further on, modulo 32, the
			 * digits come first. */
			key[k++] = (uint8_t)(((bits >> have) + 6) & 31);
		}
	}
}
