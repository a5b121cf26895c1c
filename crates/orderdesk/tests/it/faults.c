/* Faults of the disk, put into the real program by LD_PRELOAD: nothing of them is in the product.
 *
 * FAULT=WHAT:FILE:N   at the Nth flush (fsync, fdatasync) of a file whose name ends in FILE:
 *     kill-before     the process is killed before it
 *     kill-after      ... after it, so before anybody is answered
 *     fail            it fails with EIO, and nothing is flushed; every Nth one
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char what[32], ending[32];
static long nth;
static atomic_long seen;

__attribute__((constructor)) static void read_fault(void) {
    const char *fault = getenv("FAULT");
    if (fault && sscanf(fault, "%31[^:]:%31[^:]:%ld", what, ending, &nth) != 3) abort();
}

static int is_meant(int file) {
    char link[64], name[4096];
    if (!nth) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    size_t end = strlen(ending);
    return (size_t)length >= end && !strcmp(name + length - end, ending);
}

static int flush(int file, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (!is_meant(file)) return real(file);
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (!strcmp(what, "fail") && number % nth == 0) {
        errno = EIO;
        return -1;
    }
    if (!strcmp(what, "kill-before") && number == nth) kill(getpid(), SIGKILL);
    int done = real(file);
    if (!strcmp(what, "kill-after") && number == nth) kill(getpid(), SIGKILL);
    return done;
}

int fdatasync(int file) { return flush(file, "fdatasync"); }

int fsync(int file) { return flush(file, "fsync"); }
