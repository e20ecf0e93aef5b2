/* A kubeconfig of any text. What it names of files is looked for, never read. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "watcher/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config cfg;
	static int fd = -1;
	struct api_access a;

	if (fd < 0) {
		fd = memfd_create("kubeconfig", 0);
		snprintf(cfg.kubeconfig, sizeof(cfg.kubeconfig), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (api_access_load(&a, &cfg) != 0)
		return 0;
	/* Whatever is accepted can be used, and one source of each credential at most is left. */
	if (a.server == NULL || api_url_check(a.server) != NULL ||
	    (a.ca_file != NULL && a.ca_data != NULL) ||
	    (a.cert_file != NULL && a.cert_data != NULL))
		abort();
	if ((a.cert_file == NULL && a.cert_data == NULL) !=
	    (a.key_file == NULL && a.key_data == NULL))
		abort();
	api_access_clear(&a);
	return 0;
}
