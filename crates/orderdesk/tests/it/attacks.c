/*
 * What code of a stranger would try, run inside the real program: LD_PRELOAD puts it there, so that
 * nothing of it is in the product. ATTACK says what to try; it happens once, when the first client is
 * accepted, which is long after the lockdown. What came of it is written to standard error.
 *
 * KERNEL stands for a machine that has less: "no-landlock", "landlock-2" (an older one), "no-seccomp".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char attack[64];
static char kernel[64];
static char argument[4096];

static void keep(char *into, size_t size, const char *name) {
    const char *value = getenv(name);
    snprintf(into, size, "%s", value ? value : "");
}

__attribute__((constructor)) static void remember(void) {
    keep(attack, sizeof attack, "ATTACK");
    keep(kernel, sizeof kernel, "KERNEL");
    keep(argument, sizeof argument, "ATTACK_ARGUMENT");
}

/* Turns the client's own connection into one to somewhere else: no new socket is needed for that. */
static long reconnect(int client) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argument))};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int copy = dup(client);
    if (connect(copy, &none, sizeof none) == -1) return -1;
    fcntl(copy, F_SETFL, 0);
    return connect(copy, (struct sockaddr *)&there, sizeof there);
}

/* A listener becomes a client by the first bytes it sends. */
static long open_by_sending(void) {
    struct sockaddr_in own, there = {.sin_family = AF_INET, .sin_port = htons(atoi(argument))};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int file = 3; file < 64; file++) {
        int is_listening = 0;
        socklen_t length = sizeof is_listening, size = sizeof own;
        if (getsockopt(file, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &length) == -1) continue;
        if (!is_listening || getsockname(file, (struct sockaddr *)&own, &size) == -1) continue;
        int copy = dup(file);
        shutdown(copy, SHUT_RDWR);
        fcntl(copy, F_SETFL, 0);
        return sendto(copy, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&there, sizeof there);
    }
    errno = EBADF;
    return -1;
}

/* A set-user-id bit on a file that this program made. */
static long mark_a_program(void) {
    int file = open(argument, O_WRONLY | O_CREAT, 0700);
    if (file == -1) return -1;
    return fchmod(file, 04700);
}

static long pair_of_datagrams(void) {
    int pair[2];
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
}

static long start_a_process(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child == -1) return -1;
    return waitpid(child, NULL, 0);
}

static long make_code(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long open_file(const char *path, int flags) {
    int file = open(path, flags, 0600);
    if (file == -1) return -1;
    return close(file);
}

static long attempt(int client) {
    struct rlimit core = {0, 0};
    if (!strcmp(attack, "read")) return open_file(argument, O_RDONLY);
    if (!strcmp(attack, "write")) return open_file(argument, O_WRONLY | O_CREAT);
    if (!strcmp(attack, "list")) return open_file(argument, O_RDONLY | O_DIRECTORY);
    if (!strcmp(attack, "link")) return symlink("/etc/passwd", argument);
    if (!strcmp(attack, "execute")) return execl("/bin/true", "true", NULL);
    if (!strcmp(attack, "fork")) return start_a_process();
    if (!strcmp(attack, "internet-socket")) return socket(AF_INET, SOCK_STREAM, 0);
    if (!strcmp(attack, "netlink-socket")) return socket(AF_NETLINK, SOCK_RAW, 0);
    if (!strcmp(attack, "alg-socket")) return socket(AF_ALG, SOCK_SEQPACKET, 0);
    if (!strcmp(attack, "reconnect")) return reconnect(client);
    if (!strcmp(attack, "open-by-sending")) return open_by_sending();
    if (!strcmp(attack, "datagrams")) return pair_of_datagrams();
    if (!strcmp(attack, "set-user-id")) return mark_a_program();
    if (!strcmp(attack, "change-mode")) return chmod(argument, 0644);
    if (!strcmp(attack, "signals-to-others")) return fcntl(client, F_SETOWN, 1);
    if (!strcmp(attack, "map-code"))
        return (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!strcmp(attack, "make-code")) return make_code();
    if (!strcmp(attack, "dumpable")) return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (!strcmp(attack, "limits")) return setrlimit(RLIMIT_CORE, &core);
    if (!strcmp(attack, "signal")) return kill(atoi(argument), 0);
    if (!strcmp(attack, "memory-file")) return memfd_create("x", 0);
    if (!strcmp(attack, "namespace")) return unshare(CLONE_NEWUSER);
    if (!strcmp(attack, "trace")) return ptrace(PTRACE_TRACEME, 0, 0, 0);
    fprintf(stderr, "attack: there is none called %s\n", attack);
    abort();
}

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags) {
    static int is_done;
    int client = syscall(SYS_accept4, listener, address, length, flags);
    if (client != -1 && attack[0] && !__atomic_exchange_n(&is_done, 1, __ATOMIC_SEQ_CST)) {
        errno = 0;
        long result = attempt(client);
        const char *outcome = result == -1 ? strerrorname_np(errno) : "succeeded";
        dprintf(2, "attack: %s\n", outcome);
    }
    return client;
}

static long refused(int why) {
    errno = why;
    return -1;
}

long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    int is_landlock = number == SYS_landlock_create_ruleset || number == SYS_landlock_add_rule ||
                      number == SYS_landlock_restrict_self;
    if (is_landlock && !strcmp(kernel, "no-landlock")) return refused(ENOSYS);
    if (number == SYS_landlock_create_ruleset && a[2] == 1 && !strcmp(kernel, "landlock-2")) return 2;
    if (number == SYS_seccomp && !strcmp(kernel, "no-seccomp")) return refused(EINVAL);
    long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
