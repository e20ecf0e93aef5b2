/*
 * kube-proxy-init [FLAG...]: the entry point of the image's init container. Loads the modules that
 * the kernel does not load by itself, then executes kube-proxy --init-only with the flags. The
 * systemd unit does the same with two ExecStartPre= lines; the image has no shell.
 *
 * Modules come first: without --proxy-mode, kube-proxy chooses iptables mode if x_tables is there.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODPROBE   "/sbin/modprobe"
#define KUBE_PROXY "/usr/sbin/kube-proxy"

/* A kernel may have them built in, or not have them at all: kube-proxy itself reports what its mode
 * needs. */
static void load_modules(void)
{
	char *const argv[] = {"modprobe", "-abq", "ip_tables", "ip6_tables", NULL};
	char *const env[] = {"PATH=/usr/sbin:/usr/bin", NULL};
	int status = 0, error;
	pid_t pid;

	error = posix_spawn(&pid, MODPROBE, NULL, NULL, argv, env);
	if (error == 0 && waitpid(pid, &status, 0) != pid)
		error = errno;
	if (error != 0)
		fprintf(stderr, "kube-proxy-init: %s: %s; no module was loaded\n", MODPROBE,
		    strerror(error));
	else if (status != 0)
		fprintf(stderr,
		    "kube-proxy-init: modprobe could not load ip_tables and ip6_tables "
		    "(wait status 0x%x); continuing without them\n",
		    (unsigned)status);
}

int main(int argc, char **argv)
{
	char **args = calloc((size_t)argc + 2, sizeof(*args));
	int n = 0;

	if (args == NULL) {
		perror("kube-proxy-init");
		return EXIT_FAILURE;
	}
	load_modules();
	args[n++] = "kube-proxy";
	args[n++] = "--init-only";
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	execv(KUBE_PROXY, args);
	fprintf(stderr, "kube-proxy-init: %s: %s\n", KUBE_PROXY, strerror(errno));
	free(args);
	return EXIT_FAILURE;
}
