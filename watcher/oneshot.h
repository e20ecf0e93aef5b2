/* kube-proxy-watcher -C: flags and files to one CONFIG message. */
#ifndef WATCHER_ONESHOT_H
#define WATCHER_ONESHOT_H

#include "ipc/config.h"

enum flags_result {
	FLAGS_RUN,    /* *CFG is complete */
	FLAGS_DONE,   /* --help, --version: answered on stdout; exit 0 */
	FLAGS_BAD,    /* said on stderr: flag, value, what is expected; exit EXIT_USAGE */
	FLAGS_CONFIG, /* a file is wrong, said on stderr; exit EXIT_CONFIG */
};

/* Parses ARGV (argv[0] is the program). Pure but for the files the flags name and the environment.
 */
enum flags_result flags_parse(struct config *cfg, int argc, char **argv);

#endif
