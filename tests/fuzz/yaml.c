/* A manifest of any text: parsed, decoded, and what came of it sent. */
#include "watcher/yaml.h"
#include "tests/fuzz/objects.h"
#include "watcher/manifest_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every value's line is one of the text's. */
static void check_lines(struct yaml *y, const char *text, size_t len)
{
	unsigned lines = 1;

	for (size_t i = 0; i < len; i++) /* YAML 1.1 has several more line breaks than \n */
		lines += (unsigned char)text[i] >= 0x80 || text[i] == '\n' || text[i] == '\r';
	for (size_t i = 0; i < y->line_count; i++)
		if (y->lines[i].line < 1 || y->lines[i].line > lines)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct yaml_error err = {.line = 0};
	struct manifest m;
	struct yaml y;

	if (yaml_parse(&y, text, size, &err) == 0)
		check_lines(&y, text, size);
	else if (err.text[0] == '\0')
		abort(); /* an error must say what is wrong */
	yaml_clear(&y);

	if (manifest_parse(&m, "fuzz.yaml", text, size, "node-a") == 0) {
		for (size_t i = 0; i < m.service_count; i++)
			send_service(&m.services[i]);
		for (size_t i = 0; i < m.slice_count; i++)
			send_slice(&m.slices[i]);
		if (m.has_node)
			send_node(&m.node);
	}
	manifest_clear(&m);
	return 0;
}
