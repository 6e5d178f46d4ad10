// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations per second with one thread and with two, against the same stores, fences
 * and reads of the same memory without an engine.
 *
 * What each is compared with is measured next to it, in short rounds one after the other,
 * many times; of these only the ones count in which no other program interfered, and the
 * median of each kind. Bare is what an earlier round of the operation did to the medium,
 * done once more: the same stores of as many bytes to the same places.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define SEGS		191	/* 3 GiB */
#define SPAN_BITS	16	/* 256 MiB */
#define OPS		256	/* of a round and a thread */
#define ROUNDS		600	/* in one cache: so many have room without reclaim */
#define MIN_ROUNDS	10
#define SESSIONS	1
#define PAGES		16	/* of a submitter */

struct kind {
	const char *name, *text;
	blk_opf_t op;
	u32 bytes;
	bool goal;	/* there is one for it */
};

static const struct kind kinds[] = {
	{ "write_4k", "write of 4 KiB", REQ_OP_WRITE, BLOCK, true },
	{ "read_hit_4k", "read of 4 KiB, hit", REQ_OP_READ, BLOCK, true },
	{ "fua_4k", "write of 4 KiB, FUA", REQ_OP_WRITE | REQ_FUA, BLOCK, false },
	{ "flush", "FLUSH, nothing to commit", REQ_OP_WRITE | REQ_PREFLUSH, 0, false },
};

struct submitter {
	struct request r;
	u32 block[OPS];
	u8 *pages;
};

enum what { BARE_1, ENGINE_1, BARE_2, ENGINE_2, WHATS };

static struct {
	struct cache c;
	const struct kind *kind;
	struct submitter s[2];
	u64 random;
	double ns[WHATS][SESSIONS * ROUNDS];	/* of an operation */
	u32 nr[WHATS];
	u64 fences, stored_bytes;
} run;

static void do_ops(void *arg, u32 thread)
{
	struct submitter *s = &run.s[thread];

	for (u32 i = 0; i < OPS; i++)
		cache_do(&run.c, &s->r, run.kind->op, run.kind->bytes ? s->block[i] : 0,
			 s->pages + i % PAGES * BLOCK, run.kind->bytes);
}

static void record_ops(void *arg, u32 thread)
{
	tap_record();
	do_ops(arg, thread);
	tap_stop();
}

static void do_bare_1(void *arg, u32 thread)
{
	tap_replay(0, 1, run.s[thread].pages);
}

static void do_bare_2(void *arg, u32 thread)
{
	tap_replay(thread, 2, run.s[thread].pages);
}

static void draw_blocks(void)
{
	for (u32 t = 0; t < 2; t++)
		for (u32 i = 0; i < OPS; i++)
			run.s[t].block[i] = random_below(&run.random, 1 << SPAN_BITS);
}

static void take(enum what what, u32 threads, team_fn fn, u32 ops)
{
	double ns = team_run(threads, fn, NULL);

	if (ns >= 0)
		run.ns[what][run.nr[what]++] = ns / ops;
}

static void one_round(bool warm)
{
	draw_blocks();
	team_run(1, record_ops, NULL);
	run.fences = tap_fences();
	run.stored_bytes = tap_stored_bytes();
	if (warm)
		return;
	take(BARE_1, 1, do_bare_1, OPS);
	draw_blocks();
	take(ENGINE_1, 1, do_ops, OPS);
	take(BARE_2, 2, do_bare_2, OPS);
	draw_blocks();
	take(ENGINE_2, 2, do_ops, 2 * OPS);
}

static double result(const char *set, const char *what, const char *text, enum what w)
{
	double ns = median(run.ns[w], run.nr[w]);
	char name[80], line[120];

	if (run.nr[w] < MIN_ROUNDS) {
		say("  %s%s: not measured, others had the CPU in all but %u rounds\n",
		    run.kind->text, text, run.nr[w]);
		return NAN;
	}
	snprintf(name, sizeof(name), "%s.%s.%s", set, run.kind->name, what);
	snprintf(line, sizeof(line), "%s%s (%u of %u rounds)", run.kind->text, text, run.nr[w],
		 SESSIONS * (ROUNDS - TAP_KEPT));
	figure(name, line, 1e9 / ns, "ops/s");
	return ns;
}

static void ratio(const char *set, const char *what, const char *text, double value,
		  enum goal goal, double limit)
{
	char name[80];

	if (isnan(value))
		return;
	snprintf(name, sizeof(name), "%s.%s.%s", set, run.kind->name, what);
	figure_goal(name, text, value, "", goal, limit);
}

static void report(const char *set)
{
	double ns[WHATS];

	ns[ENGINE_1] = result(set, "one", ", one thread", ENGINE_1);
	ns[ENGINE_2] = result(set, "two", ", two threads", ENGINE_2);
	ratio(set, "scaling", "   two threads to one", ns[ENGINE_1] / ns[ENGINE_2],
	      run.kind->goal ? AT_LEAST : NO_GOAL, 1.8);
	if (!run.stored_bytes && run.kind->op != REQ_OP_READ)
		return;
	ns[BARE_1] = result(set, "bare_one", ", bare, one thread", BARE_1);
	ns[BARE_2] = result(set, "bare_two", ", bare, two threads", BARE_2);
	ratio(set, "bare_scaling", "   two threads to one", ns[BARE_1] / ns[BARE_2], NO_GOAL, 0);
	ratio(set, "to_bare", "   time of one to bare", ns[ENGINE_1] / ns[BARE_1],
	      run.kind->goal ? AT_MOST : NO_GOAL, 1.6);
	ratio(set, "beyond_bare_ns", "   nanoseconds beyond bare", ns[ENGINE_1] - ns[BARE_1],
	      NO_GOAL, 0);
	ratio(set, "fences", "   fences of one", (double)run.fences / OPS, NO_GOAL, 0);
	ratio(set, "stored_bytes", "   bytes stored by one", (double)run.stored_bytes / OPS,
	      NO_GOAL, 0);
}

static void measure_kind(const char *set, const struct kind *kind, const char *options)
{
	run.kind = kind;
	memset(run.nr, 0, sizeof(run.nr));
	for (u32 i = 0; i < SESSIONS; i++) {
		cache_format(&run.c, options);
		cache_fill(&run.c, 0, 1 << SPAN_BITS, SPAN_BITS);
		team_start();
		for (u32 j = 0; j < ROUNDS; j++)
			one_round(j < TAP_KEPT);
		team_stop();
		cache_detach(&run.c);
	}
	report(set);
}

static void measure_set(const char *set, const char *title, const char *options,
			enum tap_stores stores, u32 nr_kinds)
{
	say("\n%s\n", title);
	tap_set_stores(stores);
	for (u32 i = 0; i < nr_kinds; i++)
		measure_kind(set, &kinds[i], options);
	tap_set_stores(STORES_CACHED);
}

/* What the machine itself gives: nothing but computing. */
static void compute(void *arg, u32 thread)
{
	u64 x = thread;

	for (u32 i = 0; i < OPS * 500; i++)
		random_next(&x);
	__asm__ volatile("" : : "r" (x));
}

static void measure_machine(void)
{
	double ns[2][ROUNDS];
	u32 nr[2] = { };

	team_start();
	for (u32 i = 0; i < ROUNDS; i++)
		for (u32 t = 0; t < 2; t++) {
			double took = team_run(t + 1, compute, NULL);

			if (took >= 0)
				ns[t][nr[t]++] = took / (t + 1);
		}
	team_stop();
	if (nr[1] >= MIN_ROUNDS)
		figure("machine.scaling", "Computing alone, two threads to one",
		       median(ns[0], nr[0]) / median(ns[1], nr[1]), "");
}

void measure_ops(void)
{
	measure_machine();
	run.random = 1;
	cache_open(&run.c, SEGS, 1 << SPAN_BITS, false);
	for (u32 t = 0; t < 2; t++) {
		run.s[t].pages = aligned_alloc(BLOCK, PAGES * BLOCK);
		memset(run.s[t].pages, t + 1, PAGES * BLOCK);
	}
	measure_set("plain", "Random over 256 MiB, all cached; stores by memcpy()",
		    "8 " STILL, STORES_CACHED, 4);
	measure_set("streamed", "The same; stores past the CPU's cache, as in the kernel",
		    "8 " STILL, STORES_STREAMED, 1);
	measure_set("crc", "With data_crc; stores by memcpy()", "10 data_crc true " STILL,
		    STORES_CACHED, 2);
	for (u32 t = 0; t < 2; t++)
		free(run.s[t].pages);
	cache_close(&run.c);
}
