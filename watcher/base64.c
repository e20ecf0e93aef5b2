#include "watcher/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int base64_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

char *base64_decode(const char *text)
{
	char *out = malloc(strlen(text) / 4 * 3 + 4);
	size_t n = 0, digits = 0;
	uint32_t bits = 0;

	if (out == NULL)
		return NULL;
	for (; *text != '\0' && *text != '='; text++) {
		int digit = base64_digit(*text);

		if (*text == '\n' || *text == '\r')
			continue;
		if (digit < 0)
			goto bad;
		bits = bits << 6 | (uint32_t)digit;
		if (digits++ % 4 != 0)
			out[n++] = (char)(uint8_t)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	for (; *text == '=' || *text == '\n' || *text == '\r'; text++)
		digits += *text == '=';
	if (*text != '\0' || digits % 4 != 0)
		goto bad;
	out[n] = '\0';
	return out;
bad:
	explicit_bzero(out, n);
	free(out);
	return NULL;
}
