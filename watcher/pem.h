/* Is a PEM text what a TLS connection needs of it? Asked before it replaces one that works. Pure.
 */
#ifndef WATCHER_PEM_H
#define WATCHER_PEM_H

/* NULL if TEXT has certificates and none of them is broken or cut off, else what is wrong. */
const char *pem_check_authorities(const char *text);

/*
 * NULL if CERT begins with a certificate (others, its chain, may follow) and KEY has its private
 * key, without a password; else what is wrong. UNTIL, of at least PEM_TIME_MAX bytes, says when the
 * certificate ends ("Nov 24 13:00:00 2026 GMT"), and *OVER whether it has, by the clock.
 */
#define PEM_TIME_MAX 40
const char *pem_check_pair(const char *cert, const char *key, char *until, int *over);

#endif
