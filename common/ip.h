/* IP addresses and prefixes of both families in one small value type. */
#ifndef COMMON_IP_H
#define COMMON_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAMILY_4 = 0, FAMILY_6 = 1, FAMILY_COUNT = 2 };

/* An address. Unused bytes of an IPv4 address are zero, so that addresses compare as memory. */
struct ip_addr {
	uint8_t family; /* FAMILY_4 or FAMILY_6 */
	uint8_t b[16];	/* network order; the first 4 or all 16 count */
};

/* A prefix. Bits behind the prefix are zero (ip_cidr_parse clears them). */
struct ip_cidr {
	struct ip_addr addr;
	uint8_t bits; /* 0..32 or 0..128 */
};

#define IP_STRLEN   INET6_ADDRSTRLEN
#define CIDR_STRLEN (INET6_ADDRSTRLEN + 4)

/* Bytes of an address of a family: 4 or 16. */
uint8_t ip_len(uint8_t family);
/* Bits of an address of a family: 32 or 128. */
uint8_t ip_bits(uint8_t family);

/* Strict textual form (inet_pton); an IPv4-mapped IPv6 address becomes IPv4. 0, or -1 if TEXT is no
 * address. */
int ip_parse(struct ip_addr *a, const char *text);
/* Writes the canonical text of A into BUF (IP_STRLEN bytes) and returns BUF. */
const char *ip_format(const struct ip_addr *a, char buf[IP_STRLEN]);
/* From LEN (4 or 16) bytes in network order. 0, or -1 for another length. */
int ip_from_bytes(struct ip_addr *a, const void *bytes, uint32_t len);
/* Order: IPv4 first, then by bytes. <0, 0, >0 as memcmp. */
int ip_cmp(const struct ip_addr *a, const struct ip_addr *b);

/* "10.0.0.0/8", "fd00::/8"; host bits are cleared. 0, or -1 if TEXT is no CIDR. */
int ip_cidr_parse(struct ip_cidr *c, const char *text);
const char *ip_cidr_format(const struct ip_cidr *c, char buf[CIDR_STRLEN]);
bool ip_cidr_contains(const struct ip_cidr *c, const struct ip_addr *a);
/* True if every bit behind the prefix is zero and the prefix length fits the family. */
bool ip_cidr_is_canonical(const struct ip_cidr *c);

/*
 * May a packet be sent on to this address as an endpoint? Unicast, and neither unspecified (0/8,
 * ::), loopback (127/8, ::1), link-local (169.254/16, fe80::/10), multicast, nor reserved (240/4);
 * nor an IPv6 address that stands for one of IPv4: mapped and compatible ones never (RFC
 * 4291, 2.5.5), those of NAT64's well-known prefix (RFC 6052) if the IPv4 address is good. The API
 * server's own rule for endpoint addresses (core validation, ValidateNonSpecialIP) lets pass more.
 */
bool ip_is_endpoint(const struct ip_addr *a);

#endif
