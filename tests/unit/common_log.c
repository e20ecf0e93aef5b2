/* Log lines: their two forms, what cannot be forged in them, and which of them appear. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/log.h"

#include "capture.h"

static char said[8192];

static void begin(void)
{
	capture_begin(STDERR_FILENO);
}

static void end(void)
{
	capture_end(STDERR_FILENO, said, sizeof(said));
}

/* Does SAID match the shell pattern, in which # is a digit? */
static void assert_form(const char *form)
{
	const char *p = said;

	for (; *form != '\0'; form++, p++)
		if (*form == '#' ? *p < '0' || *p > '9' : *p != *form)
			fail_msg("%s\nat \"%s\", expected \"%s\"", said, p, form);
	assert_string_equal(p, "");
}

static void text_lines(void **state)
{
	char rest[128];
	const size_t head = sizeof("W1122 10:20:30.123456 ") - 1;

	(void)state;
	log_configure(0, "", false);
	begin();
	errno = ENOENT;
	log_warn("a \"%s\" \\ %m", "b\nI0101 forged\x1b[0m\x7f");
	end();
	snprintf(rest, sizeof(rest),
	    "%7d test] a \"b?I0101 forged?[0m?\" \\ No such file or directory\n", (int)getpid());
	assert_string_equal(said + head, rest);
	said[head] = '\0';
	assert_form("W#### ##:##:##.###### ");
}

/* For who typed a wrong flag; but a program that reads JSON gets JSON. */
static void usage_lines(void **state)
{
	(void)state;
	log_configure(0, "", false);
	begin();
	log_usage("unknown flag --%s", "a\nb");
	end();
	assert_string_equal(said, "test: unknown flag --a?b\n");
	log_configure(0, "", true);
	begin();
	log_usage("unknown flag");
	end();
	assert_non_null(strstr(said, "\"severity\":\"error\",\"process\":\"test\","));
	assert_non_null(strstr(said, ",\"v\":0,\"msg\":\"unknown flag\"}\n"));
}

static void json_lines(void **state)
{
	char *pid;

	(void)state;
	log_configure(3, "", true);
	begin();
	log_debug(3, "a \"%s\" \\ %s", "b\n", "\xc3\xa4\xff");
	end();
	pid = strstr(said, "\"pid\":");
	assert_non_null(pid);
	assert_string_equal(pid + 6 + strspn(pid + 6, "0123456789"),
	    ",\"v\":3,\"msg\":\"a \\\"b?\\\" \\\\ ???\"}\n");
	*pid = '\0';
	assert_form("{\"ts\":#############.###,\"severity\":\"info\",\"process\":\"test\",");
	begin();
	log_error("x");
	end();
	assert_non_null(strstr(said, "\"severity\":\"error\",\"process\":\"test\","));
	assert_non_null(strstr(said, ",\"v\":0,\"msg\":\"x\"}\n"));
}

/* JOURNAL_STREAM names what stderr is, plus OFF. */
static void set_journal_stream(unsigned long long off)
{
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino + off);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init("test");
}

static void journal_lines(void **state)
{
	(void)state;
	log_configure(2, "", false);
	begin();
	set_journal_stream(0);
	log_error("no %s", "route\n<0>forged");
	log_warn("x");
	log_info("x");
	log_debug(2, "x");
	end();
	assert_string_equal(
	    said, "<3>test: no route?<0>forged\n<4>test: x\n<6>test: x\n<6>test: x\n");
	log_configure(0, "", true);
	begin();
	set_journal_stream(0);
	log_warn("x");
	end();
	assert_memory_equal(said, "<4>{\"ts\":", 9);
	log_configure(0, "", false);
	begin();
	set_journal_stream(1); /* stderr was redirected */
	log_warn("x");
	end();
	assert_memory_equal(said, "W", 1);
	unsetenv("JOURNAL_STREAM");
	log_init("test");
}

/* A message of any length is one line that ends, and leaves the object whole. */
static void long_lines(void **state)
{
	static char text[6000];

	(void)state;
	memset(text, '"', sizeof(text) - 1);
	for (int json = 0; json < 2; json++) {
		log_configure(0, "", json);
		begin();
		log_info("%s", text);
		end();
		assert_true(strlen(said) < 4096); /* what a pipe takes at once */
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		assert_int_equal(strcmp(said + strlen(said) - 3, "\"}\n") == 0, json);
	}
}

static bool appears(int level, const char *file)
{
	begin();
	log_at(level, file, "here");
	end();
	return strstr(said, "] here\n") != NULL;
}

static void levels(void **state)
{
	(void)state;
	log_configure(2, "", false);
	assert_true(appears(2, "watcher/api_list.c"));
	assert_false(appears(3, "watcher/api_list.c"));
	log_configure(2, "api_list=4,api_*=3,ma?n=0,common/*=9,broken,x=", false);
	assert_true(appears(4, "watcher/api_list.c"));
	assert_false(appears(5, "watcher/api_list.c"));
	assert_true(appears(3, "watcher/api_client.c"));
	assert_false(appears(4, "watcher/api_client.c"));
	assert_false(appears(1, "planner/main.c"));
	assert_true(appears(0, "main.c"));
	assert_true(appears(2, "common/ip.c"));
	assert_false(appears(3, "common/ip.c"));
	assert_false(appears(3, "broken.c"));
	assert_false(appears(1, "x.c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_lines),
	    cmocka_unit_test(usage_lines),
	    cmocka_unit_test(json_lines),
	    cmocka_unit_test(journal_lines),
	    cmocka_unit_test(long_lines),
	    cmocka_unit_test(levels),
	};

	log_init("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
