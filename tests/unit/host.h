/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the unit tests share: checks, a cache in memory with its two devices, the
 * words of its status, random numbers, and data that tells where it belongs.
 */
#ifndef TESTS_UNIT_HOST_H
#define TESTS_UNIT_HOST_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <shim/dm-host.h>
#include <shim/host.h>
#include <shim/threads.h>

/*
 * Checks. One that fails prints what was expected and the last log lines, and
 * ends the program with status 1.
 */

#define CHECK(cond, ...) do {						\
	if (!(cond))							\
		host_fail(__FILE__, __LINE__, #cond, " " __VA_ARGS__);	\
} while (0)

#define CHECK_EQ(is, expected) do {					\
	unsigned long long is_ = (is), expected_ = (expected);		\
	if (is_ != expected_)						\
		host_fail(__FILE__, __LINE__, #is " == " #expected,	\
			  " is %llu (0x%llx), expected %llu (0x%llx)",	\
			  is_, is_, expected_, expected_);		\
} while (0)

void host_fail(const char *file, int line, const char *cond, const char *fmt, ...)
	__attribute__((__noreturn__, __format__(__printf__, 4, 5)));

/**
 * host_begin() - Begin a test program.
 * @name: its name
 *
 * The kernel log is kept, and shown when a check fails; with VERBOSE in the
 * environment it goes to stderr.
 */
void host_begin(const char *name);

/**
 * host_end() - End a test program: nothing may be left, nobody may have warned.
 *
 * Return: exit status.
 */
int host_end(void);

/* Says what is tested next, for whoever reads the output of a failed test. */
void host_section(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));

/* Does the log, since the last host_clear_log(), have @text? */
bool host_logged(const char *text);
void host_clear_log(void);

double host_seconds(void);
/* A number in the environment, or @otherwise. */
u64 host_env(const char *name, u64 otherwise);

/*
 * A cache
 */

/**
 * struct host - a cache device, a backing device, and a target on them
 * @pmem: cache device, named "pmem0"
 * @disk: backing device, named "vda", with a write cache
 * @md: the target; NULL: not attached
 */
struct host {
	struct block_device *pmem;
	struct block_device *disk;
	struct mapped_device *md;
};

/* Devices in memory, zeroed. */
void host_open(struct host *h, u64 pmem_bytes, u64 disk_bytes);
void host_close(struct host *h);

void *host_pmem(struct host *h);
/* Content of a disk in memory. */
void *host_disk(struct host *h);

/*
 * Loads and resumes a table as long as the disk; @options is what follows the
 * devices in the table line.
 */
void host_attach(struct host *h, const char *options);
void host_attach_ro(struct host *h, const char *options);
/* The same, but it may fail: then -errno, and @error has what the target said. */
int host_try_attach(struct host *h, const char *options, bool read_only,
		    char *error, size_t bytes);
void host_detach(struct host *h);

void host_read(struct host *h, sector_t sector, void *buf, u32 sectors);
void host_write(struct host *h, sector_t sector, const void *buf, u32 sectors);
void host_flush(struct host *h);
/* A message that must be taken. */
void host_message(struct host *h, const char *message);

/* Words of the status line, in its order. */
struct host_status {
	u32 sb_flags, seg_total, cache_segs, segs_used, gc_percent, cache_flags;
	u32 key_head[2], dirty_tail[2], key_tail[2];
	char cache_mode[16], state[8], needs_check[16];
	u64 dirty_sectors, cached_sectors, read_hits, read_partial_hits, read_misses;
	u64 writes, write_overwrites, fills, bypasses, discards, flushes, space_waits;
	u64 writeback_sectors, writeback_errors, media_errors, crc_errors;
	u64 reclaimed_segments, second_chances;
	char room[16], wear[16], copy[16];
};

void host_status(struct host *h, struct host_status *st);

/*
 * Random numbers and data
 */

struct host_random {
	u64 state;
};

void host_seed(struct host_random *r, u64 seed);
u64 host_next(struct host_random *r);
/* Even, below @n. */
u64 host_below(struct host_random *r, u64 n);
bool host_chance(struct host_random *r, u32 percent);

/* Each 8 bytes of a sector's data tell of its number and of @version. */
void host_pattern(void *buf, sector_t sector, u32 sectors, u32 version);
/* Is @buf one sector of host_pattern()? */
bool host_pattern_is(const void *buf, sector_t sector, u32 version);
/* Text about one sector's content, for a failure; static. */
const char *host_pattern_describe(const void *buf);

/* SHA-256 as hexadecimal digits. */
void host_sha256(const void *buf, size_t bytes, char digest[65]);

#endif
