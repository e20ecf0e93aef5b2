/*
 * A one-shot that was taken over, in the place of kube-proxy-watcher: `kube-proxy SCENARIO` has it
 * send the CONFIG of that name to the parent, which still has all its privileges.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/config.h"
#include "ipc/fds.h"

static struct frame f;
static struct config cfg = {.mode = MODE_NFTABLES, .node_name = "node-a", .audit_log = "stderr"};

static void bytes(const char *p, size_t len)
{
	memcpy(f.buf, p, len);
	f.len = len;
}
#define BYTES(p) bytes(p, sizeof(p) - 1)

static void good(void)
{
	config_encode(&f, &cfg);
}
static void announced_count(void)
{
	BYTES("\xdd\x0f\xff\xff\xff");
}
static void announced_length(void)
{
	BYTES("\x92\x01\xdb\xff\xff\xff\xff");
}
static void nested(void)
{
	memset(f.buf, '\x91', FRAME_MAX);
	f.len = FRAME_MAX;
}
static void a_map(void)
{
	BYTES("\x92\x01\x81\x01\x01");
}
static void not_an_array(void)
{
	BYTES("\x01");
}
static void no_type(void)
{
	BYTES("\x90");
}
static void another_message(void)
{
	good();
	f.buf[3] = 2; /* behind an array's head of three bytes */
}
static void cut_short(void)
{
	good();
	f.len--;
}
static void trailing(void)
{
	good();
	f.buf[f.len++] = 0;
}
static void field_missing(void)
{
	good();
	f.buf[2]--;
	f.len -= strlen(VERSION) + 1;
}
static void field_more(void)
{
	good();
	f.buf[2]++;
	f.buf[f.len++] = 0;
}
static void mode_unknown(void)
{
	cfg.mode = MODE_USERSPACE + 1;
	good();
}
static void mode_blank(void)
{
	cfg.mode = MODE_BLANK;
	good();
}
static void version(void)
{
	good();
	f.buf[f.len - 1] ^= 1;
}
static void text_with_nul(void)
{
	uint8_t *name;

	good();
	name = memmem(f.buf, f.len, "node-a", 6);
	name[2] = '\0';
}
/* The node's name gets the 300 bytes that its array has no room for. */
static void text_too_long(void)
{
	static const uint8_t head[] = {0xda, 1, 44};
	uint8_t *name;

	good();
	name = memmem(f.buf, f.len, "\xa6node-a", 7);
	memmove(name + sizeof(head) + 300, name + 7, f.len - (size_t)(name + 7 - f.buf));
	memcpy(name, head, sizeof(head));
	memset(name + sizeof(head), 'n', 300);
	f.len += sizeof(head) + 300 - 7;
}
static void prefixes_too_many(void)
{
	cfg.cluster_cidr_count = FAMILY_COUNT + 1;
	good();
}
static void prefix_host_bits(void)
{
	cfg.cluster_cidr_count = 1;
	cfg.cluster_cidrs[0].addr.b[3] = 1;
	good();
}
static void path_of_a_directory(void)
{
	strlcpy(cfg.audit_log, "/etc", sizeof(cfg.audit_log));
	good();
}

static const struct {
	const char *name;
	void (*write)(void);
} scenarios[] = {
    {"announced-count", announced_count},
    {"announced-length", announced_length},
    {"nested", nested},
    {"a-map", a_map},
    {"not-an-array", not_an_array},
    {"no-type", no_type},
    {"another-message", another_message},
    {"cut-short", cut_short},
    {"trailing", trailing},
    {"field-missing", field_missing},
    {"field-more", field_more},
    {"mode-unknown", mode_unknown},
    {"mode-blank", mode_blank},
    {"version", version},
    {"text-with-nul", text_with_nul},
    {"text-too-long", text_too_long},
    {"prefixes-too-many", prefixes_too_many},
    {"prefix-host-bits", prefix_host_bits},
    {"path-of-a-directory", path_of_a_directory},
};

/* More than a frame may have. */
static int send_long(void)
{
	static uint8_t big[FRAME_MAX + 1000];

	memset(big, '\xc2', sizeof(big));
	return write(FD_CONFIG, big, sizeof(big)) == (ssize_t)sizeof(big) ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *scenario = argc == 3 ? argv[2] : "";

	if (strcmp(scenario, "long") == 0)
		return send_long();
	if (strcmp(scenario, "silent") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(scenarios[i].name, scenario) != 0)
			continue;
		scenarios[i].write();
		return write(FD_CONFIG, f.buf, f.len) == (ssize_t)f.len ? 0 : 1;
	}
	fprintf(stderr, "no such scenario: %s\n", scenario);
	return 3;
}
