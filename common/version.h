/*
 * Which program this is. VERSION, this program's own version, comes from the Makefile; the release
 * of Kubernetes whose behaviour it implements is named here and nowhere else.
 */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define KUBERNETES_MAJOR "1"
#define KUBERNETES_MINOR "36"
#define KUBERNETES_PATCH "2"

/* As upstream writes it: kubernetes_build_info's git_version, and `kube-proxy --version`. */
#define KUBERNETES_VERSION "v" KUBERNETES_MAJOR "." KUBERNETES_MINOR "." KUBERNETES_PATCH

#ifdef __clang__
#define VERSION_COMPILER "clang"
#else
#define VERSION_COMPILER "gcc"
#endif
#if defined(__x86_64__)
#define VERSION_PLATFORM "linux/amd64"
#elif defined(__aarch64__)
#define VERSION_PLATFORM "linux/arm64"
#else
#define VERSION_PLATFORM "linux"
#endif

#endif
