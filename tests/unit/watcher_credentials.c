/* Credentials that are renewed under us: what is taken, and that what worked stays otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "watcher/credentials.h"
#include "watcher/pem.h"

static char dir[] = "/tmp/watcher_credentials.XXXXXX";
static struct event_base *base;

/* --- pairs --- */

struct pair {
	char *cert, *key;
};

static char *text_of(BIO *bio)
{
	char *bytes, *text;
	long n = BIO_get_mem_data(bio, &bytes);

	text = strndup(bytes, (size_t)n);
	BIO_free(bio);
	return text;
}

/* A pair that is valid from two hours ago for so many HOURS. */
static struct pair make_pair(int hours)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -2L * 3600);
	X509_gmtime_adj(X509_getm_notAfter(x), (hours - 2) * 3600L);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, k);
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	PEM_write_bio_X509(cert, x);
	PEM_write_bio_PrivateKey(key, k, NULL, NULL, 0, NULL, NULL);
	X509_free(x);
	EVP_PKEY_free(k);
	return (struct pair){text_of(cert), text_of(key)};
}

static void free_pair(struct pair *p)
{
	free(p->cert);
	free(p->key);
}

/* --- files --- */

static const char *path_of(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* As programs do that know what they do: whole at once. */
static void put(const char *name, const char *text)
{
	FILE *f = fopen(path_of("new"), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(path_of("new"), path_of(name)), 0);
}

static int changes;

static void on_change(void *arg)
{
	(void)arg;
	changes++;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	*(bool *)arg = true;
}

/* Lets events come and settle, until COUNT changes were told; with 0, for a third of a second. */
static void settle(int count)
{
	struct timeval end = {.tv_sec = count > 0 ? 5 : 0, .tv_usec = 300000};
	bool over = false;
	struct event *timer = evtimer_new(base, on_time, &over);

	changes = 0;
	evtimer_add(timer, &end);
	while (!over && (count == 0 || changes < count))
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	event_free(timer);
	assert_int_equal(changes, count);
}

/* Runs F with ARG while stderr goes into SAID. */
static void listen_to(void (*f)(void *), void *arg, char *said, size_t size)
{
	int saved = dup(STDERR_FILENO), captured = memfd_create("captured", 0);
	ssize_t n;

	dup2(captured, STDERR_FILENO);
	f(arg);
	dup2(saved, STDERR_FILENO);
	n = pread(captured, said, size - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(saved);
	close(captured);
}

/* --- PEM --- */

static void pem_authorities(void **state)
{
	struct pair a = make_pair(4), b = make_pair(4);
	char two[8192];
	size_t least;

	(void)state;
	assert_null(pem_check_authorities(a.cert));
	snprintf(two, sizeof(two), "# comment\n%s\ntext between\n%s", a.cert, b.cert);
	assert_null(pem_check_authorities(two));
	/* Down to where its first line ends: what is shorter is a comment. */
	least = strlen(two) - strlen(b.cert) + strlen("-----BEGIN CERTIFICATE-----");
	for (size_t cut = strlen(two) - 3; cut >= least; cut--) {
		two[cut] = '\0';
		if (pem_check_authorities(two) == NULL)
			fail_msg("cut at %zu: %s", cut, two);
	}
	assert_non_null(strstr(pem_check_authorities(""), "no PEM certificate"));
	assert_non_null(strstr(pem_check_authorities(a.key), "no PEM certificate"));
	free_pair(&a);
	free_pair(&b);
}

static void pem_pair(void **state)
{
	struct pair a = make_pair(4), b = make_pair(4), old = make_pair(1);
	char until[PEM_TIME_MAX], both[8192];
	int over;

	(void)state;
	assert_null(pem_check_pair(a.cert, a.key, until, &over));
	assert_false(over);
	assert_non_null(strstr(until, " GMT"));
	assert_null(pem_check_pair(old.cert, old.key, until, &over));
	assert_true(over);
	/* One file for both, as the kubelet's, whichever comes first, and with a chain. */
	snprintf(both, sizeof(both), "%s%s%s", a.key, a.cert, b.cert);
	assert_null(pem_check_pair(both, both, until, &over));
	assert_non_null(strstr(pem_check_pair(a.cert, b.key, until, &over), "another"));
	assert_non_null(strstr(pem_check_pair(a.cert, "", until, &over), "private key"));
	assert_non_null(strstr(pem_check_pair("", a.key, until, &over), "no PEM certificate"));
	a.cert[strlen(a.cert) / 2] = '\0';
	assert_non_null(strstr(pem_check_pair(a.cert, a.key, until, &over), "incomplete"));
	free_pair(&a);
	free_pair(&b);
	free_pair(&old);
}

/* --- tokens --- */

static void token_is_renewed(void **state)
{
	struct api_access access = {.token_file = strdup(path_of("token"))};
	struct credentials *c;

	(void)state;
	put("token", " first\r\n");
	c = credentials_new(base, &access, on_change, NULL);
	assert_string_equal(credentials_now(c)->token, "first");
	put("token", "second");
	settle(1);
	assert_string_equal(credentials_now(c)->token, "second");
	put("token", "second\n");
	settle(0); /* it says the same */
	unlink(path_of("token"));
	settle(0);
	assert_string_equal(credentials_now(c)->token, "second");
	put("token", "with a blank");
	settle(0);
	assert_string_equal(credentials_now(c)->token, "second");
	put("token", "third");
	settle(1);
	assert_string_equal(credentials_now(c)->token, "third");
	credentials_free(c);
	free(access.token_file);
}

/* A projected volume: the file is a link by "..data", itself a link that is swapped. */
static void token_of_a_volume(void **state)
{
	struct api_access access = {.token_file = strdup(path_of("link"))};
	struct credentials *c;

	(void)state;
	mkdir(path_of("..1"), 0755);
	mkdir(path_of("..2"), 0755);
	put("..1/link", "first");
	put("..2/link", "second");
	assert_int_equal(symlink("..1", path_of("..data")), 0);
	assert_int_equal(symlink("..data/link", path_of("link")), 0);
	c = credentials_new(base, &access, on_change, NULL);
	assert_string_equal(credentials_now(c)->token, "first");
	assert_int_equal(symlink("..2", path_of("..data_tmp")), 0);
	assert_int_equal(rename(path_of("..data_tmp"), path_of("..data")), 0);
	settle(1);
	assert_string_equal(credentials_now(c)->token, "second");
	put("..2/link", "third"); /* where the link leads now is watched too */
	settle(1);
	assert_string_equal(credentials_now(c)->token, "third");
	credentials_free(c);
	free(access.token_file);
	unlink(path_of("link"));
	unlink(path_of("..data"));
	unlink(path_of("..1/link"));
	unlink(path_of("..2/link"));
	rmdir(path_of("..1"));
	rmdir(path_of("..2"));
}

/* No event tells of a change on a file system elsewhere: a refused request asks. */
static void doubt(void **state)
{
	struct api_access access = {.token_file = strdup(path_of("token"))};
	struct credentials *c;
	FILE *f;

	(void)state;
	put("token", "first");
	c = credentials_new(base, &access, on_change, NULL);
	f = fopen(path_of("token"), "w"); /* open for writing: no event yet */
	fputs("again", f);
	fflush(f);
	credentials_doubt(c);
	assert_string_equal(credentials_now(c)->token, "again");
	fclose(f);
	credentials_free(c);
	free(access.token_file);
}

static void missing_at_first(void **state)
{
	struct api_access access = {.token_file = strdup(path_of("none")),
	    .ca_file = strdup(path_of("none")),
	    .cert_file = strdup(path_of("none")),
	    .key_file = strdup(path_of("none"))};
	struct pair p = make_pair(4);
	struct credentials *c = credentials_new(base, &access, on_change, NULL);
	char both[8192];

	(void)state;
	assert_string_equal(credentials_missing(c), "no usable certificate authority");
	assert_null(credentials_now(c)->token);
	snprintf(both, sizeof(both), "%s%s", p.cert, p.key);
	put("none", both);
	settle(1);
	assert_string_equal(credentials_missing(c), "no usable token");
	assert_string_equal(credentials_now(c)->key, both);
	put("none", "token");
	settle(1);
	assert_null(credentials_missing(c));
	assert_string_equal(credentials_now(c)->ca, both);
	credentials_free(c);
	unlink(path_of("none"));
	free(access.token_file);
	free(access.ca_file);
	free(access.cert_file);
	free(access.key_file);
	free_pair(&p);
}

/* --- pairs --- */

static void pair_is_renewed(void **state)
{
	struct api_access access = {
	    .cert_file = strdup(path_of("cert")), .key_file = strdup(path_of("key"))};
	struct pair a = make_pair(4), b = make_pair(4);
	struct credentials *c;

	(void)state;
	put("cert", a.cert);
	put("key", a.key);
	c = credentials_new(base, &access, on_change, NULL);
	assert_null(credentials_missing(c));
	put("cert", b.cert);
	settle(0); /* half of it: the old one stays, whole */
	assert_string_equal(credentials_now(c)->cert, a.cert);
	assert_string_equal(credentials_now(c)->key, a.key);
	put("key", b.key);
	settle(1);
	assert_string_equal(credentials_now(c)->cert, b.cert);
	assert_string_equal(credentials_now(c)->key, b.key);
	put("cert", "-----BEGIN CERTIFICATE-----\nMIIB");
	settle(0);
	assert_string_equal(credentials_now(c)->cert, b.cert);
	credentials_free(c);
	free(access.cert_file);
	free(access.key_file);
	free_pair(&a);
	free_pair(&b);
}

static void authorities_are_renewed(void **state)
{
	struct api_access access = {.ca_file = strdup(path_of("ca"))};
	struct pair a = make_pair(4), b = make_pair(4);
	struct credentials *c;
	char two[8192];

	(void)state;
	put("ca", a.cert);
	c = credentials_new(base, &access, on_change, NULL);
	snprintf(two, sizeof(two), "%s%s", a.cert, b.cert);
	put("ca", two);
	settle(1);
	assert_string_equal(credentials_now(c)->ca, two);
	two[strlen(two) - 40] = '\0';
	put("ca", two);
	settle(0);
	put("ca", "");
	settle(0);
	assert_null(credentials_missing(c));
	put("ca", b.cert);
	settle(1);
	assert_string_equal(credentials_now(c)->ca, b.cert);
	credentials_free(c);
	free(access.ca_file);
	free_pair(&a);
	free_pair(&b);
}

/* --- what is said --- */

static void doubt_twice(void *arg)
{
	credentials_doubt(arg);
	credentials_doubt(arg);
}

static void said_once_and_no_secret(void **state)
{
	struct api_access access = {.token_file = strdup(path_of("token")),
	    .cert_file = strdup(path_of("cert")),
	    .key_file = strdup(path_of("key"))};
	struct pair a = make_pair(4), old = make_pair(1);
	struct credentials *c;
	char said[4096], *first;

	(void)state;
	put("token", "good");
	put("cert", a.cert);
	put("key", a.key);
	c = credentials_new(base, &access, NULL, NULL);
	put("token", "hunter2 hunter3");
	put("key", old.key);
	listen_to(doubt_twice, c, said, sizeof(said));
	assert_null(strstr(said, "hunter"));
	assert_null(strstr(said, "PRIVATE"));
	first = strstr(said, path_of("token"));
	assert_non_null(first);
	assert_non_null(strstr(first, "a blank or control character"));
	assert_null(strstr(first + 1, path_of("token"))); /* once */
	assert_non_null(strstr(said, "/cert and /tmp"));
	assert_non_null(strstr(said, "the private key is another certificate's"));
	put("token", "better");
	put("cert", old.cert);
	listen_to(doubt_twice, c, said, sizeof(said));
	assert_non_null(strstr(said, "was valid until"));
	assert_null(strstr(said, "better"));
	credentials_free(c);
	free(access.token_file);
	free(access.cert_file);
	free(access.key_file);
	free_pair(&a);
	free_pair(&old);
}

static int set_up(void **state)
{
	(void)state;
	base = event_base_new();
	return mkdtemp(dir) == NULL || base == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"token", "cert", "key", "ca"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	event_base_free(base);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pem_authorities),
	    cmocka_unit_test(pem_pair),
	    cmocka_unit_test(token_is_renewed),
	    cmocka_unit_test(token_of_a_volume),
	    cmocka_unit_test(doubt),
	    cmocka_unit_test(missing_at_first),
	    cmocka_unit_test(pair_is_renewed),
	    cmocka_unit_test(authorities_are_renewed),
	    cmocka_unit_test(said_once_and_no_secret),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
