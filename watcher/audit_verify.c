#include "watcher/audit_verify.h"

#include <sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CHAIN	 " chain="
#define HEX_LEN	 32
#define LINE_MAX 2048

/* What the line LINE, LEN bytes, is to have behind it. */
static void chain(const char *last, const char *line, size_t len, char hex[HEX_LEN + 1])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)last, strlen(last));
	SHA256Update(&ctx, (const uint8_t *)line, len);
	SHA256Final(digest, &ctx);
	for (size_t i = 0; i < HEX_LEN / 2; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* NULL, or what is wrong with LINE; LAST becomes what chains the next one to it. */
static const char *check(char *line, char last[HEX_LEN + 1], bool first, bool *middle)
{
	const size_t end = sizeof(CHAIN) - 1 + HEX_LEN;
	size_t len = strlen(line);
	char hex[HEX_LEN + 1];
	const char *found;

	if (len == 0 || line[len - 1] != '\n')
		return "it has no end";
	line[--len] = '\0';
	if (len < end || memcmp(line + len - end, CHAIN, sizeof(CHAIN) - 1) != 0)
		return "it has no chain: it was cut, or is nobody's of the proxy";
	found = line + len - HEX_LEN;
	chain(last, line, len - end, hex);
	strlcpy(last, found, HEX_LEN + 1);
	if (strcmp(hex, found) == 0)
		return NULL;
	*middle = first; /* nothing tells what stood before */
	return first ? NULL
		     : "it is not chained to the line before: one of them was changed, "
		       "or lines between them are missing";
}

int audit_verify(FILE *in)
{
	char line[LINE_MAX], last[HEX_LEN + 1] = "";
	unsigned long number = 0, lines = 0, bad = 0;
	bool middle = false;

	while (fgets(line, sizeof(line), in) != NULL) {
		const char *why;

		number++;
		if (strcmp(line, "\n") == 0)
			continue; /* behind a line that could not be written */
		why = check(line, last, lines++ == 0, &middle);
		if (why != NULL && bad++ < 20)
			printf("line %lu: %s\n", number, why);
	}
	if (ferror(in) || lines == 0) {
		printf("no line could be read\n");
		return 1;
	}
	printf("%lu lines, %lu not chained to the one before; the first %s\n", lines, bad,
	    middle ? "continues a file that ended before it" : "begins the log");
	return bad > 0;
}
