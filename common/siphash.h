/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012), 64 bits, keyed: digests of rules that two processes
 * compare, and hash tables whose keys a stranger may choose. Incremental.
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

struct siphash {
	uint64_t v[4];
	uint64_t tail; /* bytes not yet mixed in, low byte first */
	uint64_t len;
};

void siphash_init(struct siphash *s, const struct siphash_key *key);
void siphash_update(struct siphash *s, const void *data, size_t len);
uint64_t siphash_final(struct siphash *s);

#endif
