// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <openssl/evp.h>

#include "host.h"

#define MIX	0x9e3779b97f4a7c15ULL

/*
 * Checks and the log
 */

static const char *program = "unit";
static char section[200];
static double begun;
static char kernel_log[1 << 16];
static size_t log_bytes;
static bool verbose;

static void log_line(void *data, int level, const char *text)
{
	size_t n = strlen(text);

	/* With such a line the shim is about to abort. */
	if (level == 0 && !verbose)
		fprintf(stderr, "%s: %s\n%s", program, section, kernel_log);
	verbose |= level == 0;
	if (verbose)
		fputs(text, stderr);
	/* The oldest half goes when there is no room. */
	if (log_bytes + n + 1 > sizeof(kernel_log)) {
		size_t drop = min(log_bytes, sizeof(kernel_log) / 2);

		memmove(kernel_log, kernel_log + drop, log_bytes - drop);
		log_bytes -= drop;
	}
	if (n + 1 <= sizeof(kernel_log) - log_bytes) {
		memcpy(kernel_log + log_bytes, text, n + 1);
		log_bytes += n;
	}
}

void host_clear_log(void)
{
	log_bytes = 0;
	kernel_log[0] = '\0';
}

bool host_logged(const char *text)
{
	return strstr(kernel_log, text);
}

void host_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s: FAILED at %s:%d%s%s\n  expected: %s\n", program, file, line,
		section[0] ? ", " : "", section, cond);
	fmt += fmt[0] == ' ';
	if (fmt[0]) {
		va_start(args, fmt);
		fputs("  ", stderr);
		vfprintf(stderr, fmt, args);
		fputc('\n', stderr);
		va_end(args);
	}
	if (log_bytes && !verbose)
		fprintf(stderr, "log:\n%s", kernel_log);
	fflush(NULL);
	if (getenv("ABORT"))
		abort();
	_exit(1);
}

void host_section(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(section, sizeof(section), fmt, args);
	va_end(args);
	if (verbose)
		fprintf(stderr, "%s: %s\n", program, section);
}

double host_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

u64 host_env(const char *name, u64 otherwise)
{
	const char *value = getenv(name);
	char *end;
	u64 n;

	if (!value || !*value)
		return otherwise;
	n = strtoull(value, &end, 0);
	CHECK(!*end, "%s is '%s', expected a number", name, value);
	return n;
}

void host_begin(const char *name)
{
	program = name;
	begun = host_seconds();
	verbose = getenv("VERBOSE");
	shim_set_log(log_line, NULL);
	CHECK(!shim_module_init());
}

int host_end(void)
{
	shim_module_exit();
	shim_stop();
	host_section("at the end");
	CHECK_EQ(shim_allocations(), 0);
	CHECK_EQ(shim_warnings(), 0);
	printf("%s: ok, %.1f s\n", program, host_seconds() - begun);
	return 0;
}

/*
 * A cache
 */

void host_open(struct host *h, u64 pmem_bytes, u64 disk_bytes)
{
	h->md = NULL;
	h->pmem = port_bdev_open(&(struct port_bdev_config) {
		.name = "pmem0", .bytes = pmem_bytes, .pmem = true,
	});
	h->disk = port_bdev_open(&(struct port_bdev_config) {
		.name = "vda", .bytes = disk_bytes, .write_cache = true, .discard = true,
	});
	CHECK(h->pmem && h->disk);
	CHECK(!dm_host_add_bdev(h->pmem));
	CHECK(!dm_host_add_bdev(h->disk));
}

void host_close(struct host *h)
{
	CHECK(!h->md, "host_close() of what is attached");
	dm_host_remove_bdev(h->pmem);
	dm_host_remove_bdev(h->disk);
	port_bdev_close(h->pmem);
	port_bdev_close(h->disk);
}

void *host_pmem(struct host *h)
{
	return port_bdev_memory(h->pmem);
}

void *host_disk(struct host *h)
{
	return port_bdev_memory(h->disk);
}

int host_try_attach(struct host *h, const char *options, bool read_only,
		    char *error, size_t bytes)
{
	char table[512];
	int r;

	CHECK(!h->md, "attached twice");
	snprintf(table, sizeof(table), "0 %llu pcache pmem0 vda %s",
		 (unsigned long long)bdev_nr_sectors(h->disk), options);
	error[0] = '\0';
	h->md = dm_host_create("cache");
	r = dm_host_load(h->md, table, read_only, error, bytes);
	if (!r)
		r = dm_host_resume(h->md);
	if (r) {
		CHECK(!dm_host_remove(h->md));
		h->md = NULL;
	}
	return r;
}

static void attach(struct host *h, const char *options, bool read_only)
{
	char error[256];
	int r = host_try_attach(h, options, read_only, error, sizeof(error));

	CHECK(r == 0, "attaching with '%s': %d, %s", options, r, error);
}

void host_attach(struct host *h, const char *options)
{
	attach(h, options, false);
}

void host_attach_ro(struct host *h, const char *options)
{
	attach(h, options, true);
}

void host_detach(struct host *h)
{
	CHECK(!dm_host_suspend(h->md, false));
	CHECK(!dm_host_remove(h->md));
	h->md = NULL;
}

void host_read(struct host *h, sector_t sector, void *buf, u32 sectors)
{
	int r = dm_host_rw(dm_host_bdev(h->md), REQ_OP_READ, sector, buf, sectors);

	CHECK(r == 0, "read of %u sectors at %llu: %d", sectors, sector, r);
}

void host_write(struct host *h, sector_t sector, const void *buf, u32 sectors)
{
	int r = dm_host_rw(dm_host_bdev(h->md), REQ_OP_WRITE, sector, (void *)buf, sectors);

	CHECK(r == 0, "write of %u sectors at %llu: %d", sectors, sector, r);
}

void host_flush(struct host *h)
{
	int r = dm_host_flush(dm_host_bdev(h->md));

	CHECK(r == 0, "flush: %d", r);
}

void host_message(struct host *h, const char *message)
{
	char result[1024];
	int r = dm_host_message(h->md, message, result, sizeof(result));

	CHECK(r >= 0, "message %s: %d", message, r);
}

void host_status(struct host *h, struct host_status *st)
{
	unsigned long long n[18];
	char line[1024];
	int got, i = 0;

	CHECK(!dm_host_status(h->md, STATUSTYPE_INFO, 0, line, sizeof(line)));
	got = sscanf(line, "%*u %*u pcache %x %u %u %u %u %x %u:%u %u:%u %u:%u %15s %7s %15s "
		     "%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu "
		     "%llu %llu %llu %llu %15s %15s %15s",
		     &st->sb_flags, &st->seg_total, &st->cache_segs, &st->segs_used,
		     &st->gc_percent, &st->cache_flags, &st->key_head[0], &st->key_head[1],
		     &st->dirty_tail[0], &st->dirty_tail[1], &st->key_tail[0], &st->key_tail[1],
		     st->cache_mode, st->state, st->needs_check,
		     &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9],
		     &n[10], &n[11], &n[12], &n[13], &n[14], &n[15], &n[16], &n[17],
		     st->room, st->wear, st->copy);
	CHECK(got == 36, "status has %d words that fit: %s", got, line);
	st->dirty_sectors = n[i++];
	st->cached_sectors = n[i++];
	st->read_hits = n[i++];
	st->read_partial_hits = n[i++];
	st->read_misses = n[i++];
	st->writes = n[i++];
	st->write_overwrites = n[i++];
	st->fills = n[i++];
	st->bypasses = n[i++];
	st->discards = n[i++];
	st->flushes = n[i++];
	st->space_waits = n[i++];
	st->writeback_sectors = n[i++];
	st->writeback_errors = n[i++];
	st->media_errors = n[i++];
	st->crc_errors = n[i++];
	st->reclaimed_segments = n[i++];
	st->second_chances = n[i++];
}

/*
 * Random numbers and data
 */

u64 host_next(struct host_random *r)
{
	u64 z = r->state += MIX;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void host_seed(struct host_random *r, u64 seed)
{
	r->state = seed;
	r->state = host_next(r);
}

u64 host_below(struct host_random *r, u64 n)
{
	return ((unsigned __int128)host_next(r) * n) >> 64;
}

bool host_chance(struct host_random *r, u32 percent)
{
	return host_below(r, 100) < percent;
}

#define SECTOR_WORDS	(SECTOR_SIZE / sizeof(u64))

/* Most of what a test moves passes here: without checks of each access. */
#define FAST __attribute__((__no_sanitize__("address", "undefined"), __optimize__("O3")))

/* Word 0 says what it is; the others follow from it. */
static u64 pattern_word(sector_t sector, u32 version)
{
	return (u64)version << 32 | (u32)sector;
}

FAST void host_pattern(void *buf, sector_t sector, u32 sectors, u32 version)
{
	u64 *p = buf;

	for (u32 s = 0; s < sectors; s++, p += SECTOR_WORDS) {
		u64 word = pattern_word(sector + s, version);

		for (u32 i = 0; i < SECTOR_WORDS; i++)
			p[i] = word ^ (i * MIX);
	}
}

FAST bool host_pattern_is(const void *buf, sector_t sector, u32 version)
{
	u64 word = pattern_word(sector, version), wrong = 0;
	const u64 *p = buf;

	for (u32 i = 0; i < SECTOR_WORDS; i++)
		wrong |= p[i] ^ word ^ (i * MIX);
	return !wrong;
}

const char *host_pattern_describe(const void *buf)
{
	static char text[120];
	const u64 *p = buf;
	u64 word = p[0];

	if (host_pattern_is(buf, (u32)word, word >> 32)) {
		snprintf(text, sizeof(text), "sector %u, version %u", (u32)word,
			 (u32)(word >> 32));
		return text;
	}
	for (u32 i = 1; i < SECTOR_WORDS; i++) {
		u64 other = p[i] ^ (i * MIX);

		if (other != word) {
			snprintf(text, sizeof(text),
				 "torn: sector %u, version %u, from byte %zu on sector %u, version %u",
				 (u32)word, (u32)(word >> 32), i * sizeof(u64), (u32)other,
				 (u32)(other >> 32));
			break;
		}
	}
	return text;
}

void host_sha256(const void *buf, size_t bytes, char digest[65])
{
	unsigned char md[32];
	unsigned int n;

	CHECK(EVP_Digest(buf, bytes, md, &n, EVP_sha256(), NULL) == 1 && n == sizeof(md));
	for (n = 0; n < sizeof(md); n++)
		sprintf(digest + 2 * n, "%02x", md[n]);
}
