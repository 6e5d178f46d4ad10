/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a seed is like.  Every seed draws its own mixture ("swarm"): most of what may
 * happen does not happen in most of them, so that what does can go far.
 */
#ifndef SIM_PARAMS_H
#define SIM_PARAMS_H

#include <shim/sim.h>

/* name, the value that switches it off or makes it simple, what it is */
#define SIM_PARAMS(X)							\
	X(rounds, 1, "sessions, most of them ended by a power cut")	\
	X(ops, 100, "requests in a session, at least")			\
	X(variants, 1, "crash images that are tried for each power cut") \
	X(cpus, 1, "CPUs")						\
	X(hops, 0, "a task leaves its CPU whenever it may")		\
	X(switch_mean, 0, "points between two switches of tasks; 0: only when one waits") \
	X(jump, 0, "of 1024 switches, the clock jumps")			\
	X(starve, 0, "of 1024 times, a slow task waits for the clock as well")	\
	X(atomics, 0, "1: atomic operations are points; 2: READ_ONCE() and WRITE_ONCE(), too") \
	X(alloc_fail, 0, "of 1024 allocations fail")			\
	X(submitters, 1, "tasks that submit")				\
	X(depth, 1, "requests that one has under way")			\
	X(segs, 12, "segments of the cache")				\
	X(sectors, 128, "sectors that are used of the backing device")	\
	X(hot, 0, "of 1024 requests go to an eighth of them")		\
	X(max_sectors, 8, "of one request")				\
	X(align, 1, "requests begin and end at multiples of it")	\
	X(writes, 512, "of 1024 requests are writes")			\
	X(fua, 0, "of 1024 writes have FUA")				\
	X(preflush, 0, "of 1024 writes have PREFLUSH")			\
	X(flush, 100, "of 1024 requests are FLUSHes")			\
	X(discards, 0, "of 1024 writes are discards instead")		\
	X(zeroes, 0, "of 1024 writes are write zeroes instead")		\
	X(no_discard, 0, "the backing device takes no discards")	\
	X(scribble, 0, "of 1024 reads have their buffer changed meanwhile") \
	X(rewrites, 0, "of 1024 writes have their buffer changed meanwhile") \
	X(data_crc, 0, "data_crc true")					\
	X(fast, 0, "writeback_order fast")				\
	X(delay_ms, 0, "writeback_delay_ms")				\
	X(dirty_low, 50, "dirty_low_percent")				\
	X(dirty_high, 80, "dirty_high_percent")				\
	X(gc_percent, 70, "gc_percent")					\
	X(gc_kept, 0, "the table seldom names gc_percent, the medium keeps it")	\
	X(clock, 0, "eviction clock; 0: fifo")				\
	X(cutoff_kb, 0, "sequential_cutoff_kb")				\
	X(copy, 1, "copy: 0 auto, 1 nt, 2 clwb")			\
	X(messages, 0, "of 1024 pauses have a message")			\
	X(drops, 0, "of 1024 pauses have a message drop")		\
	X(suspends, 0, "of 1024 pauses have a suspend")			\
	X(detaches, 0, "of 1024 pauses have a detach and an attach")	\
	X(reloads, 0, "of 1024 pauses have a table loaded on the live device")	\
	X(resizes, 0, "of 1024 pauses have the message resize")		\
	X(grow, 0, "segments that the cache device gets while it is used")	\
	X(pause_ops, 40, "requests between two pauses")			\
	X(cut_early, 0, "of 1024 sessions are cut while attaching")	\
	X(end_clean, 0, "of 1024 sessions end with a detach")		\
	X(pmem_cut, 2, "enum pmem_cut, or one above: any")		\
	X(disk_cut, 2, "enum disk_cut, or one above: any")		\
	X(block, 1, "sectors of a logical block")			\
	X(no_write_cache, 0, "the backing device has no volatile cache") \
	X(latency_us, 0, "of a request to the backing device, at most")	\
	X(read_errors, 0, "of 1024 reads of it fail")			\
	X(write_errors, 0, "of 1024 writes of it fail")			\
	X(flush_errors, 0, "of 1024 FLUSHes of it fail")		\
	X(gone, 0, "of 1024 pauses it goes, or comes back")		\
	X(poison, 0, "media errors made in each session")		\
	X(rot, 0, "cached sectors whose bits rot in each session, with data_crc")	\
	X(store_heals, 1, "a store of a whole line ends its media error")	\
	X(force, 0, "of 1024 attaches ask for format force")		\
	X(mainline, 0, "of 1024 sessions are Linux's own")		\
	X(smaller, 0, "segments fewer has the cache device at first")	\
	X(old, 0, "the medium is formatted over the remains of another cache")	\
	X(mode, 0, "cache_mode: writeback, writethrough, writearound, writeonly") \
	X(modes, 0, "of 1024 pauses have a change of the cache mode")	\
	X(theme, 0, "1: full after Linux's own; 2: epochs and write errors; else none")

struct sim_params {
#define X(name, simple, text) u32 name;
	SIM_PARAMS(X)
#undef X
};

void sim_params_draw(struct sim_params *p, u64 seed);
void sim_params_fit(struct sim_params *p);
/* "name=value"; false: there is no such name, or no number. */
bool sim_params_set(struct sim_params *p, const char *text);
void sim_params_print(const struct sim_params *p);

/* For making a failure smaller: each is a name with its simple value. */
u32 sim_params_count(void);
u32 *sim_params_at(struct sim_params *p, u32 i, const char **name, u32 *simple);

#endif
