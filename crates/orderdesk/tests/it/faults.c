/* Faults of the disk and of the clock, put into the real program by LD_PRELOAD: nothing of them is in
 * the product.
 *
 * FAULT=WHAT:FILE:N   at the Nth flush (fsync, fdatasync) or write of a file whose name ends in FILE:
 *     kill-before     the process is killed before the flush
 *     kill-after      ... after it, so before anybody is answered
 *     fail            the flush fails with EIO, and nothing is flushed; every Nth one
 *     fail-once       ... only the Nth one
 *     kill-write      the process is killed before the write
 *     fail-write      the write fails with EIO, and nothing is written; every Nth one
 *     full-write      ... with ENOSPC
 *
 * DISK=FOLDER         the folder holds what the disk would hold of the database and its log after a
 *     power cut: the pages that a flush has brought there. A flush that fails brings nothing there, and
 *     its pages count as clean from then on, as Linux has it. FOLDER/NAME is such a file,
 *     FOLDER/NAME.dirty has a byte for each of its pages that waits for a flush.
 *
 * CLOCK=FILE          the wall clock is off by so many seconds as the file says, asked each time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES (1 << 16)

typedef struct {
    const char *name;
    unsigned char *dirty;
    int kept;
} Tracked;

static char what[32], ending[64];
static long nth;
static atomic_long seen;
static Tracked tracked[2] = {{"orderdesk.db", NULL, -1}, {"orderdesk.db-wal", NULL, -1}};
static int clock_file = -1;

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

static void track(Tracked *file, const char *folder) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.dirty", folder, file->name);
    int bits = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int (*truncate_file)(int, off_t) = real("ftruncate64");
    if (bits < 0 || truncate_file(bits, PAGES)) abort();
    file->dirty = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, bits, 0);
    if (file->dirty == MAP_FAILED) abort();
    close(bits);
    snprintf(path, sizeof path, "%s/%s", folder, file->name);
    file->kept = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->kept < 0) abort();
}

__attribute__((constructor)) static void read_what_is_asked(void) {
    const char *fault = getenv("FAULT"), *disk = getenv("DISK"), *clock = getenv("CLOCK");
    if (fault && sscanf(fault, "%31[^:]:%63[^:]:%ld", what, ending, &nth) != 3) abort();
    for (int i = 0; disk && i < 2; i++) track(&tracked[i], disk);
    if (clock && (clock_file = open(clock, O_RDONLY | O_CLOEXEC)) < 0) abort();
}

static int name_of(int file, char name[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, PATH_MAX - 1);
    if (length < 0) return 0;
    name[length] = 0;
    return 1;
}

static int ends_in(const char *name, const char *end) {
    size_t length = strlen(name), rest = strlen(end);
    return length >= rest && !strcmp(name + length - rest, end);
}

/* Whether the fault `kind` happens now: `once` at the Nth call, else at every Nth. */
static int happens(const char *kind, int once, long number) {
    if (!number || strcmp(what, kind)) return 0;
    return once ? number == nth : number % nth == 0;
}

static int is_meant(const char *name) {
    return nth && ends_in(name, ending);
}

static Tracked *tracking(const char *name) {
    for (int i = 0; i < 2; i++) {
        if (tracked[i].dirty && ends_in(name, tracked[i].name)) return &tracked[i];
    }
    return NULL;
}

static void bring_to_disk(Tracked *file, int from) {
    ssize_t (*write_at)(int, const void *, size_t, off_t) = real("pwrite64");
    int (*truncate_file)(int, off_t) = real("ftruncate64");
    struct stat now;
    char page[PAGE];
    if (fstat(from, &now)) abort();
    for (long number = 0; number < PAGES; number++) {
        if (!file->dirty[number]) continue;
        file->dirty[number] = 0;
        ssize_t length = pread(from, page, PAGE, number * PAGE);
        if (length > 0 && write_at(file->kept, page, length, number * PAGE) != length) abort();
    }
    if (truncate_file(file->kept, now.st_size)) abort();
}

static int flush(int file, const char *call) {
    int (*really)(int) = real(call);
    char name[PATH_MAX];
    if (!(nth || tracked[0].dirty) || !name_of(file, name)) return really(file);
    Tracked *kept = tracking(name);
    int counts = is_meant(name) && !strstr(what, "write");
    long number = counts ? atomic_fetch_add(&seen, 1) + 1 : 0;
    if (happens("fail", 0, number) || happens("fail-once", 1, number)) {
        if (kept) memset(kept->dirty, 0, PAGES);
        errno = EIO;
        return -1;
    }
    if (happens("kill-before", 1, number)) kill(getpid(), SIGKILL);
    int done = really(file);
    if (!done && kept) bring_to_disk(kept, file);
    if (happens("kill-after", 1, number)) kill(getpid(), SIGKILL);
    return done;
}

/* Returns what goes wrong with a write, or 0. */
static int fault_of_write(const char *name) {
    if (!is_meant(name) || !strstr(what, "write")) return 0;
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (happens("kill-write", 1, number)) kill(getpid(), SIGKILL);
    if (happens("fail-write", 0, number)) return EIO;
    return happens("full-write", 0, number) ? ENOSPC : 0;
}

static ssize_t written(const char *name, ssize_t done, off_t at) {
    Tracked *kept = tracking(name);
    for (off_t number = at / PAGE; kept && done > 0 && number <= (at + done - 1) / PAGE; number++) {
        if (number < PAGES) kept->dirty[number] = 1;
    }
    return done;
}

int fdatasync(int file) { return flush(file, "fdatasync"); }

int fsync(int file) { return flush(file, "fsync"); }

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    ssize_t (*really)(int, const void *, size_t, off_t) = real("pwrite64");
    char name[PATH_MAX];
    if (!(nth || tracked[0].dirty) || !name_of(file, name)) return really(file, bytes, count, at);
    if ((errno = fault_of_write(name))) return -1;
    return written(name, really(file, bytes, count, at), at);
}

ssize_t write(int file, const void *bytes, size_t count) {
    ssize_t (*really)(int, const void *, size_t) = real("write");
    char name[PATH_MAX];
    off_t at = lseek(file, 0, SEEK_CUR);
    if (at < 0 || !(nth || tracked[0].dirty) || !name_of(file, name)) {
        return really(file, bytes, count);
    }
    if ((errno = fault_of_write(name))) return -1;
    return written(name, really(file, bytes, count), at);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int (*really)(clockid_t, struct timespec *) = real("clock_gettime");
    int done = really(which, now);
    char text[32] = {0};
    if (!done && which == CLOCK_REALTIME && clock_file >= 0) {
        if (pread(clock_file, text, sizeof text - 1, 0) < 0) abort();
        now->tv_sec += atol(text);
    }
    return done;
}
