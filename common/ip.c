#include "common/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t ip_len(uint8_t family)
{
	return family == FAMILY_4 ? 4 : 16;
}

uint8_t ip_bits(uint8_t family)
{
	return family == FAMILY_4 ? 32 : 128;
}

static void unmap(struct ip_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(a->b, mapped, sizeof(mapped)) != 0)
		return;
	memcpy(a->b, a->b + 12, 4);
	memset(a->b + 4, 0, 12);
	a->family = FAMILY_4;
}

int ip_parse(struct ip_addr *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->b) == 1) {
		a->family = FAMILY_4;
		return 0;
	}
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET6, text, a->b) == 1) {
		a->family = FAMILY_6;
		unmap(a);
		return 0;
	}
	return -1;
}

const char *ip_format(const struct ip_addr *a, char buf[IP_STRLEN])
{
	if (inet_ntop(a->family == FAMILY_4 ? AF_INET : AF_INET6, a->b, buf, IP_STRLEN) == NULL)
		buf[0] = '\0';
	return buf;
}

int ip_from_bytes(struct ip_addr *a, const void *bytes, uint32_t len)
{
	if (len != 4 && len != 16)
		return -1;
	memset(a, 0, sizeof(*a));
	a->family = len == 4 ? FAMILY_4 : FAMILY_6;
	memcpy(a->b, bytes, len);
	return 0;
}

int ip_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

/* Clears the bits behind the prefix; returns whether any was set. */
static bool clear_host_bits(struct ip_cidr *c)
{
	bool had = false;

	for (unsigned i = 0; i < ip_len(c->addr.family); i++) {
		unsigned kept = c->bits > i * 8 ? c->bits - i * 8 : 0;
		uint8_t mask = (uint8_t)(kept >= 8 ? 0xffu : 0xff00u >> kept);

		if ((c->addr.b[i] & (uint8_t)~mask) != 0)
			had = true;
		c->addr.b[i] &= mask;
	}
	return had;
}

int ip_cidr_parse(struct ip_cidr *c, const char *text)
{
	char addr[IP_STRLEN];
	const char *slash = strchr(text, '/');
	size_t len;
	unsigned bits = 0;

	if (slash == NULL)
		return -1;
	len = (size_t)(slash - text);
	if (len >= sizeof(addr))
		return -1;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (ip_parse(&c->addr, addr) != 0)
		return -1;
	slash++;
	if (*slash == '\0' || strlen(slash) > 3 || (slash[0] == '0' && slash[1] != '\0'))
		return -1;
	for (; *slash != '\0'; slash++) {
		if (*slash < '0' || *slash > '9')
			return -1;
		bits = bits * 10 + (unsigned)(*slash - '0');
	}
	if (bits > ip_bits(c->addr.family))
		return -1;
	c->bits = (uint8_t)bits;
	clear_host_bits(c);
	return 0;
}

const char *ip_cidr_format(const struct ip_cidr *c, char buf[CIDR_STRLEN])
{
	char addr[IP_STRLEN];

	snprintf(buf, CIDR_STRLEN, "%s/%u", ip_format(&c->addr, addr), c->bits);
	return buf;
}

bool ip_cidr_contains(const struct ip_cidr *c, const struct ip_addr *a)
{
	struct ip_cidr of = {.addr = *a, .bits = c->bits};

	if (a->family != c->addr.family)
		return false;
	clear_host_bits(&of);
	return memcmp(of.addr.b, c->addr.b, sizeof(of.addr.b)) == 0;
}

bool ip_cidr_is_canonical(const struct ip_cidr *c)
{
	struct ip_cidr copy = *c;

	return c->bits <= ip_bits(c->addr.family) && !clear_host_bits(&copy);
}

static bool is_endpoint_4(const uint8_t *b)
{
	return b[0] != 0 && b[0] != 127 && b[0] < 224 && !(b[0] == 169 && b[1] == 254);
}

bool ip_is_endpoint(const struct ip_addr *a)
{
	static const uint8_t zero[12], mapped[12] = {[10] = 0xff, 0xff},
				       nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	const uint8_t *b = a->b;

	if (a->family == FAMILY_4)
		return is_endpoint_4(b);
	if (memcmp(b, nat64, sizeof(nat64)) == 0)
		return is_endpoint_4(b + sizeof(nat64));
	return memcmp(b, zero, sizeof(zero)) != 0 && memcmp(b, mapped, sizeof(mapped)) != 0 &&
	       b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}
