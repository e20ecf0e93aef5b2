#include "common/siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static void rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

static void mix(struct siphash *s, uint64_t m)
{
	s->v[3] ^= m;
	rounds(s->v, 2);
	s->v[0] ^= m;
}

void siphash_init(struct siphash *s, const struct siphash_key *key)
{
	s->v[0] = key->k0 ^ 0x736f6d6570736575ULL;
	s->v[1] = key->k1 ^ 0x646f72616e646f6dULL;
	s->v[2] = key->k0 ^ 0x6c7967656e657261ULL;
	s->v[3] = key->k1 ^ 0x7465646279746573ULL;
	s->tail = 0;
	s->len = 0;
}

void siphash_update(struct siphash *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	unsigned have = (unsigned)(s->len & 7);
	uint64_t m;

	s->len += len;
	while (len > 0 && have != 0) {
		s->tail |= (uint64_t)*p++ << (8 * have);
		len--;
		have = (have + 1) & 7;
		if (have == 0) {
			mix(s, s->tail);
			s->tail = 0;
		}
	}
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&m, p, 8);
		mix(s, le64toh(m));
	}
	for (; len > 0; len--)
		s->tail |= (uint64_t)*p++ << (8 * have++);
}

uint64_t siphash_final(struct siphash *s)
{
	mix(s, s->tail | s->len << 56);
	s->v[2] ^= 0xff;
	rounds(s->v, 4);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}
