/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the native measurements share: figures, a cache without
 * Device-Mapper, what it does to its medium, and threads that begin together.
 */
#ifndef BENCH_NATIVE_H
#define BENCH_NATIVE_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <shim/host.h>
#include <shim/threads.h>

#include "pcache.h"

#define BLOCK		4096u
#define BLOCK_SECTORS	8u
#define SEG_BLOCKS	(PCACHE_DATA_BYTES / BLOCK)

/*
 * figures.c: numbers, on stdout and at the end as JSON
 */

enum goal { NO_GOAL, AT_LEAST, AT_MOST };

/* Ends the program. */
void fail(const char *fmt, ...) __attribute__((__noreturn__, __format__(__printf__, 1, 2)));
void say(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* A line of the table. @name has dots between its parts, for JSON; @text is for people. */
void figure(const char *name, const char *text, double value, const char *unit);
void figure_goal(const char *name, const char *text, double value, const char *unit,
		 enum goal goal, double limit);
void figures_write(const char *path);
/* CPU time of the whole program: other programs are not in it. */
double cpu_seconds(void);
u64 now_ns(void);
double median(double *values, u32 nr);
u64 random_next(u64 *state);
/* Even, below @n. */
u64 random_below(u64 *state, u64 n);
/* A permutation of the numbers below 2^@bits. */
u64 scatter(u64 n, u32 bits);

/*
 * cache.c: a cache without Device-Mapper
 */

/**
 * struct cache - what is measured
 * @media: cache device, in memory that is there from the beginning, or when it is touched
 * @media_bytes: its size
 * @disk: backing device
 * @disk_blocks: its size
 * @options: as in a table line, beginning with the number of words; "0" for none
 * @pc: the engine's; NULL: not attached
 */
struct cache {
	void *media;
	u64 media_bytes;
	struct block_device *disk;
	u64 disk_blocks;
	const char *options;
	struct pcache *pc;
};

/* One request at a time. @state is 0 while the bio is on its way and nobody sleeps. */
struct request {
	struct bio bio;
	struct bio_vec vec;
	struct pcache_request rq;
	struct completion done;
	int state;
};

/* What keeps write-back and reclaim away as long as they can be: 8 words of options. */
#define STILL	"gc_percent 90 writeback_delay_ms 3600000 dirty_low_percent 100 dirty_high_percent 100"

/* @sparse: of both devices only what is touched takes memory, or none at all. */
void cache_open(struct cache *c, u32 segs, u64 disk_blocks, bool sparse);
void cache_close(struct cache *c);
void cache_attach(struct cache *c, const char *options);
/* The same, formatted. */
void cache_format(struct cache *c, const char *options);
void cache_detach(struct cache *c);
void cache_do(struct cache *c, struct request *r, blk_opf_t op, u64 block, void *buf, u32 bytes);
/* Writes blocks scatter(@from) to scatter(@to - 1) of 2^@bits. */
void cache_fill(struct cache *c, u64 from, u64 to, u32 bits);
void quiet_log(void);

/*
 * tap.c: stores to the medium, fences and reads of it, as they come
 */

enum tap_stores {
	STORES_CACHED,		/* by memcpy(), as the shim does */
	STORES_STREAMED,	/* past the CPU's cache, as the kernel does */
	STORES_NO_BLOCKS,	/* what is exactly a block of user data is left out */
};

void tap_set_stores(enum tap_stores stores);
#define TAP_KEPT 24

/* From here on what one thread does to the medium is noted. */
void tap_record(void);
void tap_stop(void);
/*
 * Does what was noted TAP_KEPT - 1 recordings before the latest, so that none of it is in
 * the CPU's cache any more: from @num / @den of it to (@num + 1) / @den. What stands
 * in the log then is not good any more.
 */
void tap_replay(u32 num, u32 den, void *read_to);
u64 tap_fences(void);
u64 tap_stored_bytes(void);

/*
 * memory.c: what is allocated
 */

/* By the sizes that the kernel's allocator would have for it. */
u64 memory_bytes(void);

/*
 * team.c: two threads that begin together
 */

typedef void (*team_fn)(void *arg, u32 thread);

void team_start(void);
void team_stop(void);
/*
 * Has @fn run by one thread or two. Gives nanoseconds until the last one was through; less
 * than 0: meanwhile another program had the CPU of one.
 */
double team_run(u32 threads, team_fn fn, void *arg);

/*
 * The parts
 */

void measure_ops(void);
void measure_latency(void);
void measure_memory(void);
void measure_attach(void);
void measure_full_attach(void);
void measure_index(void);
/* For callgrind: @name so many times, in a function of the name profiled(). */
void profile_op(const char *name, u32 times);

#endif
