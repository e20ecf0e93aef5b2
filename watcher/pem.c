#include "watcher/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Nobody is here who could type one; OpenSSL would ask the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/* Did reading end because there is no further "-----BEGIN", and not within one? */
static bool at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/*
 * Reads all certificates of TEXT; *FIRST is the first, to be freed, or NULL. NULL, or what is
 * wrong.
 */
static const char *read_certificates(const char *text, X509 **first)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	const char *why = NULL;
	X509 *x = NULL;

	*first = NULL;
	if (bio == NULL)
		return "out of memory";
	ERR_clear_error();
	while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		if (*first == NULL)
			*first = x;
		else
			X509_free(x);
	}
	if (!at_end())
		why = "a certificate is broken or incomplete";
	else if (*first == NULL)
		why = "no PEM certificate (\"-----BEGIN CERTIFICATE-----\")";
	ERR_clear_error();
	BIO_free(bio);
	return why;
}

const char *pem_check_authorities(const char *text)
{
	X509 *first;
	const char *why = read_certificates(text, &first);

	X509_free(first);
	return why;
}

static void print_end(const X509 *x, char *until)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (bio != NULL && ASN1_TIME_print(bio, X509_get0_notAfter(x)) == 1)
		n = BIO_read(bio, until, PEM_TIME_MAX - 1);
	until[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
}

const char *pem_check_pair(const char *cert, const char *key, char *until, int *over)
{
	BIO *bio = BIO_new_mem_buf(key, -1);
	EVP_PKEY *k = NULL;
	const char *why;
	X509 *x;

	until[0] = '\0';
	*over = 0;
	why = read_certificates(cert, &x);
	if (why == NULL) {
		if (bio != NULL)
			k = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
		if (k == NULL)
			why = "no complete PEM private key without a password";
		else if (X509_check_private_key(x, k) != 1)
			why = "the private key is another certificate's";
		else {
			print_end(x, until);
			*over = X509_cmp_time(X509_get0_notAfter(x), NULL) < 0;
		}
	}
	ERR_clear_error();
	EVP_PKEY_free(k);
	X509_free(x);
	BIO_free(bio);
	return why;
}
