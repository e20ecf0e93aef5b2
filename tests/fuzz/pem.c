/* Files that are read again while the watcher runs: certificates and keys, as any bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), until[PEM_TIME_MAX];
	int over;

	(void)pem_check_authorities(text);
	if (pem_check_pair(text, text, until, &over) == NULL && strlen(until) >= PEM_TIME_MAX)
		abort();
	free(text);
	return 0;
}
