#include "watcher/api_version.h"

#include <string.h>

/* The digits of TEXT without leading zeros, or NULL if it is no number. */
static const char *digits(const char *text)
{
	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return NULL;
	return text + strspn(text, "0");
}

bool api_version_older(const char *a, const char *b)
{
	const char *x = digits(a), *y = digits(b);

	if (x == NULL || y == NULL)
		return false;
	if (strlen(x) != strlen(y))
		return strlen(x) < strlen(y);
	return strcmp(x, y) < 0;
}
