/* The n-th call that writes below a folder fails with EIO: fail_at(folder, n), 0 for none.
   list_calls() tells the calls since then, a letter each. FAILING_IO="28:o:/folder" in the
   environment lets all calls of the letters between the colons fail there, with that errno. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char watched[PATH_MAX];
static char calls[1 << 16];
static char always[16];
static int fails_at, n_calls, reason = EIO;

__attribute__((constructor)) static void read_environment(void) {
  const char *text = getenv("FAILING_IO");
  if (text) sscanf(text, "%d:%15[a-z]:%4000s", &reason, always, watched);
}

void fail_at(const char *folder, int n) {
  strncpy(watched, folder, sizeof watched - 1);
  fails_at = n;
  n_calls = 0;
}

const char *list_calls(void) {
  calls[n_calls] = 0;
  return calls;
}

static int is_below(const char *path) {
  return watched[0] && path && strncmp(path, watched, strlen(watched)) == 0;
}

static int is_file_below(int descriptor) {
  char link[64], path[PATH_MAX];
  if (!watched[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path);
}

static int fails(char call) {
  if (n_calls + 1 < (int)sizeof calls) calls[n_calls++] = call;
  if (n_calls != fails_at && !strchr(always, call)) return 0;
  errno = reason;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                     \
  int name(const char *path, int flags, ...) {                         \
    va_list rest;                                                      \
    va_start(rest, flags);                                             \
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;  \
    va_end(rest);                                                      \
    if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && is_below(path) && fails('o')) return -1; \
    return REAL(name)(path, flags, mode);                              \
  }
OPEN(open)
OPEN(open64)

#define ON_DESCRIPTOR(type, name, letter, parameters, arguments) \
  type name parameters {                                         \
    if (is_file_below(fd) && fails(letter)) return -1;           \
    return REAL(name) arguments;                                 \
  }
ON_DESCRIPTOR(ssize_t, write, 'w', (int fd, const void *data, size_t size), (fd, data, size))
ON_DESCRIPTOR(ssize_t, writev, 'w', (int fd, const struct iovec *parts, int n), (fd, parts, n))
ON_DESCRIPTOR(ssize_t, pwrite, 'w', (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
ON_DESCRIPTOR(ssize_t, pwrite64, 'w', (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
ON_DESCRIPTOR(int, fsync, 's', (int fd), (fd))
ON_DESCRIPTOR(int, ftruncate, 'w', (int fd, off_t size), (fd, size))

int rename(const char *from, const char *to) {
  if (is_below(to) && fails('r')) return -1;
  return REAL(rename)(from, to);
}

int close(int fd) {
  /* The descriptor is gone all the same, as on Linux. */
  int bad = is_file_below(fd) && fails('c');
  int result = REAL(close)(fd);
  if (bad) errno = reason;
  return bad ? -1 : result;
}
