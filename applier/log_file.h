/*
 * Opening a log file while there still is privilege. Its path comes from flags and files that the
 * unprivileged one-shot has read: no user may lead the write elsewhere.
 */
#ifndef APPLIER_LOG_FILE_H
#define APPLIER_LOG_FILE_H

#include <sys/types.h>

/*
 * Opens, or makes, the audit log PATH, which only root and OWNER can have put there. No symbolic
 * link is followed, in no component. A directory must belong to root or OWNER, and be closed to
 * writes of others unless it is sticky; one of root above the file's own may be open to a group.
 * The file must be a regular one of root or OWNER, with one link, which no other user can write to.
 * Returns a descriptor to append to; fatal(EXIT_CONFIG) with what to do.
 */
int log_file_open(const char *path, uid_t owner);

#endif
