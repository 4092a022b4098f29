/* Stands between a process and the files under one folder: the n-th call of a kind fails, once or from then on.
 *
 * It also knows what of each file is on the disk: what was there when it was first opened, and what each sync has brought.
 * A sync that fails brings nothing, and what it was to bring is never tried again, as with Linux: it is taken out of the
 * file at once, as if the memory had been needed, or only when the power goes. That may be at the n-th change after the
 * failure: from there on nothing that would change anything is done. What the power leaves is for `faults_disk`. Names of
 * files are taken to be on the disk at once. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, KINDS };
enum { PAGE = 4096, FILES = 64, LARGEST = 1 << 24 };

struct disk {
    dev_t device;
    ino_t number;
    int file; /* of our own: the process may have it for reading only */
    off_t size;
    unsigned char* bytes;      /* LARGEST of them, which cost nothing until they are used */
    unsigned char* is_waiting; /* for a sync, by page */
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct disk disks[FILES];
static char folder[PATH_MAX];
static long calls[KINDS], failing;
static int failing_kind = -1, failing_error, is_for_good, is_at_once, is_paused, has_failed;
static long changes, cut_at; /* since the failure; 0: the power stays */

void faults_begin(const char* path, int at_once);
void faults_arm(int kind, long number, int error, int for_good);
void faults_cut(long number);
void faults_pause(int paused);
long faults_calls(int kind);
int faults_is_cut(void);
int faults_disk(const char* path, const char* target, unsigned seed);

static void forget(struct disk* disk) {
    if (disk->bytes) close(disk->file);
    free(disk->bytes);
    free(disk->is_waiting);
    memset(disk, 0, sizeof *disk);
}

/* Look after a folder from now on; nothing fails yet. An empty path is none. */
void faults_begin(const char* path, int at_once) {
    pthread_mutex_lock(&guard);
    for (int i = 0; i < FILES; ++i) forget(&disks[i]);
    strncpy(folder, path, sizeof folder - 1);
    is_at_once = at_once;
    failing_kind = -1;
    memset(calls, 0, sizeof calls);
    pthread_mutex_unlock(&guard);
}

/* Have a call fail, counted from 1 and from now; kind -1: none. */
void faults_arm(int kind, long number, int error, int for_good) {
    pthread_mutex_lock(&guard);
    memset(calls, 0, sizeof calls);
    failing_kind = kind, failing = number, failing_error = error, is_for_good = for_good;
    cut_at = changes = has_failed = 0;
    pthread_mutex_unlock(&guard);
}

/* Have the power go at a change, counted from 1 and from the failure. */
void faults_cut(long number) { cut_at = number; }

int faults_is_cut(void) { return cut_at && changes >= cut_at; }

/* Neither count calls nor have them fail. */
void faults_pause(int paused) { is_paused = paused; }

long faults_calls(int kind) { return calls[kind]; }

static int is_ours(const char* path) {
    const size_t length = strlen(folder);
    return length && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int is_in_folder(int file) {
    char link[32], path[PATH_MAX] = "";
    if (!folder[0] || snprintf(link, sizeof link, "/proc/self/fd/%d", file) < 0) return 0;
    return readlink(link, path, sizeof path - 1) > 0 && is_ours(path);
}

static int fails(enum kind kind) {
    if (is_paused) return 0;
    const long number = ++calls[kind];
    if (has_failed && kind != OPEN && kind != READ) ++changes;
    if (kind != READ && faults_is_cut()) {
        errno = EIO;
        return 1;
    }
    if (kind != (enum kind)failing_kind || (is_for_good ? number < failing : number != failing)) return 0;
    has_failed = 1;
    errno = failing_error;
    return 1;
}

static struct disk* find(const struct stat* status) {
    for (int i = 0; i < FILES; ++i)
        if (disks[i].bytes && disks[i].number == status->st_ino && disks[i].device == status->st_dev) return &disks[i];
    return NULL;
}

/* What is known of a file; at first all of it is on the disk. */
static struct disk* know(int file) {
    struct stat status;
    char link[32];
    if (fstat(file, &status) || !S_ISREG(status.st_mode)) return NULL;
    struct disk* disk = find(&status);
    for (int i = 0; !disk && i < FILES; ++i) {
        if (disks[i].bytes) continue;
        disk = &disks[i];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        disk->file = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC);
        disk->device = status.st_dev, disk->number = status.st_ino, disk->size = status.st_size;
        disk->bytes = calloc(LARGEST, 1);
        disk->is_waiting = calloc(LARGEST / PAGE, 1);
        if (disk->file < 0 || !disk->bytes || !disk->is_waiting || status.st_size > LARGEST) abort();
        if (syscall(SYS_pread64, disk->file, disk->bytes, LARGEST, 0L) != status.st_size) abort();
    }
    if (!disk) abort();
    return disk;
}

static void wait_for_sync(int file, off_t from, off_t to) {
    struct disk* disk = know(file);
    if (disk && to > LARGEST) abort();
    for (off_t page = from / PAGE; disk && page * PAGE < to; ++page) disk->is_waiting[page] = 1;
}

/* A sync, or one that fails. */
static void settle(int file, int is_done) {
    struct stat status;
    struct disk* disk = know(file);
    if (!disk || fstat(file, &status)) return;
    for (off_t page = 0; page < LARGEST / PAGE; ++page) {
        unsigned char* bytes = disk->bytes + page * PAGE;
        if (!disk->is_waiting[page]) continue;
        disk->is_waiting[page] = 0;
        if (is_done) {
            memset(bytes, 0, PAGE);
            if (syscall(SYS_pread64, disk->file, bytes, (size_t)PAGE, page * PAGE) < 0) abort();
        } else if (is_at_once && page * PAGE < status.st_size) {
            const off_t rest = status.st_size - page * PAGE;
            const size_t length = rest < PAGE ? (size_t)rest : (size_t)PAGE;
            if (syscall(SYS_pwrite64, disk->file, bytes, length, page * PAGE) < 0) abort();
        }
    }
    if (is_done) disk->size = status.st_size;
    if (!is_done && is_at_once && syscall(SYS_ftruncate, disk->file, disk->size)) abort();
}

/* Bring some of the pages that wait for a sync to the disk: the system may have done so at any time. */
static void bring_some(struct disk* disk, off_t size, unsigned seed) {
    for (off_t page = 0; page * PAGE < size; ++page) {
        seed = seed * 1664525 + 1013904223;
        if (!disk->is_waiting[page] || seed >> 31) continue;
        const off_t rest = size - page * PAGE, length = rest < PAGE ? rest : PAGE;
        if (syscall(SYS_pread64, disk->file, disk->bytes + page * PAGE, (size_t)length, page * PAGE) != length) abort();
        if (disk->size < page * PAGE + length) disk->size = page * PAGE + length;
    }
}

/* Write what the disk has of a file to another one; 0: nothing is known of it, so that it has all of it.
 * A seed that is not 0 tells by chance which of the pages that wait for a sync are there as well. */
int faults_disk(const char* path, const char* target, unsigned seed) {
    struct stat status;
    struct disk* disk = stat(path, &status) ? NULL : find(&status);
    if (!disk) return 0;
    if (seed) bring_some(disk, status.st_size, seed);
    const int file = (int)syscall(SYS_openat, AT_FDCWD, target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || syscall(SYS_write, file, disk->bytes, (size_t)disk->size) != disk->size) abort();
    close(file);
    return 1;
}

static void forget_name(const char* path) {
    struct stat status;
    struct disk* disk = lstat(path, &status) ? NULL : find(&status);
    if (disk) forget(disk);
}

static int open_file(const char* path, int flags, mode_t mode) {
    int is_failed = 0;
    pthread_mutex_lock(&guard);
    if (is_ours(path)) is_failed = fails(OPEN);
    pthread_mutex_unlock(&guard);
    return is_failed ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static ssize_t read_file(int file, void* data, size_t length, off_t at) {
    int is_failed = 0;
    pthread_mutex_lock(&guard);
    if (is_in_folder(file)) is_failed = fails(READ);
    pthread_mutex_unlock(&guard);
    if (is_failed) return -1;
    return at < 0 ? syscall(SYS_read, file, data, length) : syscall(SYS_pread64, file, data, length, at);
}

/* One that fails has written half of it, or nothing of what fits into a sector. */
static ssize_t write_file(int file, const void* data, size_t length, off_t at) {
    int is_failed = 0, error = 0;
    pthread_mutex_lock(&guard);
    if (is_in_folder(file)) {
        if ((is_failed = fails(WRITE))) length = length > 512 && !faults_is_cut() ? length / 2 : 0, error = errno;
        const off_t from = at < 0 ? lseek(file, 0, SEEK_CUR) : at;
        wait_for_sync(file, from, from + (off_t)length);
    }
    ssize_t done = at < 0 ? syscall(SYS_write, file, data, length) : syscall(SYS_pwrite64, file, data, length, at);
    if (is_failed) done = -1, errno = error;
    pthread_mutex_unlock(&guard);
    return done;
}

static int sync_file(int file, long call) {
    int done = 0;
    pthread_mutex_lock(&guard);
    if (!is_in_folder(file)) {
        done = (int)syscall(call, file);
    } else {
        if (fails(SYNC)) done = -1;
        const int error = errno;
        if (!faults_is_cut()) settle(file, !done); /* without power nothing waits for a disk either */
        errno = error;
    }
    pthread_mutex_unlock(&guard);
    return done;
}

static int cut_file(int file, off_t size) {
    int is_failed = 0;
    pthread_mutex_lock(&guard);
    if (is_in_folder(file) && !(is_failed = fails(TRUNCATE))) {
        struct stat status;
        if (!fstat(file, &status)) wait_for_sync(file, size < status.st_size ? size : status.st_size, LARGEST);
    }
    pthread_mutex_unlock(&guard);
    return is_failed ? -1 : (int)syscall(SYS_ftruncate, file, size);
}

int open(const char* path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = (flags & O_CREAT) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_file(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = (flags & O_CREAT) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_file(path, flags, mode);
}

ssize_t read(int file, void* data, size_t length) { return read_file(file, data, length, -1); }
ssize_t pread64(int file, void* data, size_t length, off_t at) { return read_file(file, data, length, at); }
ssize_t pread(int file, void* data, size_t length, off_t at) { return read_file(file, data, length, at); }
ssize_t write(int file, const void* data, size_t length) { return write_file(file, data, length, -1); }
ssize_t pwrite64(int file, const void* data, size_t length, off_t at) { return write_file(file, data, length, at); }
ssize_t pwrite(int file, const void* data, size_t length, off_t at) { return write_file(file, data, length, at); }
int fsync(int file) { return sync_file(file, SYS_fsync); }
int fdatasync(int file) { return sync_file(file, SYS_fdatasync); }
int ftruncate64(int file, off_t size) { return cut_file(file, size); }
int ftruncate(int file, off_t size) { return cut_file(file, size); }

int truncate64(const char* path, off_t size) {
    const int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -1;
    const int done = cut_file(file, size), error = errno;
    close(file);
    errno = error;
    return done;
}

int truncate(const char* path, off_t size) { return truncate64(path, size); }

int rename(const char* from, const char* to) {
    int is_failed = 0;
    pthread_mutex_lock(&guard);
    if (is_ours(to) && !(is_failed = fails(RENAME))) forget_name(to);
    pthread_mutex_unlock(&guard);
    return is_failed ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char* path) {
    int is_failed = 0;
    pthread_mutex_lock(&guard);
    if (is_ours(path) && !(is_failed = fails(UNLINK))) forget_name(path);
    pthread_mutex_unlock(&guard);
    return is_failed ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
