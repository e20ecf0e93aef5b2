/* A configuration file of any text: read; what is good is written, and read back to the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/config_file.h"
#include "watcher/config_write.h"
#include "watcher/flag_settle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What CONFIG says of S is what its decoder accepts, to the bit. */
static void check_message(const struct settings *s)
{
	static struct frame f;
	static struct config decoded, encoded;

	encoded = s->cfg;
	config_encode(&f, &encoded);
	if (f.overflow || config_decode(&decoded, f.buf, f.len) != NULL ||
	    memcmp(&decoded, &encoded, sizeof(decoded)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings s, again;
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	settings_init(&s);
	if (config_file_parse(&s, "f", (const char *)data, size, true) != 0)
		return 0;
	out = open_memstream(&text, &len);
	if (out == NULL)
		return 0;
	config_print(out, &s);
	fclose(out);
	settings_init(&again);
	if (config_file_parse(&again, "f", text, len, false) != 0 ||
	    config_file_differs(&s, &again, "f"))
		abort();
	free(text);
	if (s.cfg.verbosity <= CONFIG_VERBOSITY_MAX && flags_check(&s) == FLAGS_RUN) {
		if (s.cfg.mode == MODE_BLANK) /* what no message has any more */
			s.cfg.mode = MODE_IPTABLES;
		check_message(&s);
	}
	return 0;
}
