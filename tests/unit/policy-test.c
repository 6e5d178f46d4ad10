// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The models of eviction policies against cases that were worked out by hand, and the
 * reading and making of traces.
 */
#include "test.h"

#include <linux/kernel.h>
#include <shim/host.h>

#include "policy-models.h"
#include "trace-source.h"

#define UNIT	TRACE_BLOCK_SECTORS

/*
 * Plays a story to a model: letters are units; a small one is read, a capital one is
 * written. Returns what missed of the reads, in their order.
 */
static const char *play(struct model *m, const char *story)
{
	static char missed[100];
	u32 nr = 0;

	for (; *story; story++) {
		bool write = *story < 'a';
		struct trace_request rq = {
			(*story - (write ? 'A' : 'a')) * UNIT, UNIT, write ? TRACE_WRITE : TRACE_READ,
		};
		const struct trace t = { .request = &rq, .nr = 1 };
		const struct playing how = { .unit_sectors = UNIT };
		struct miss_figures figures;

		model_run(m, &t, &how, &figures);
		if (figures.missed_bytes)
			missed[nr++] = *story;
	}
	missed[nr] = '\0';
	return missed;
}

static const char *set_misses(const char *policy, u32 capacity, const char *story)
{
	struct model *m = set_model_new(policy, 26, capacity);
	const char *missed = play(m, story);

	model_free(m);
	return missed;
}

TEST(lru)
{
	CHECK_STR(set_misses("lru", 2, "abacab"), "abcb");
	CHECK_STR(set_misses("lru", 2, "ABcab"), "cab");
	CHECK_STR(set_misses("lru", 3, "abcdabcd"), "abcdabcd");
}

TEST(fifo)
{
	CHECK_STR(set_misses("fifo", 2, "abacab"), "abcab");
	/* What is written again is new. */
	CHECK_STR(set_misses("fifo", 2, "ABAcab"), "cb");
}

TEST(clock)
{
	CHECK_STR(set_misses("clock", 2, "abacab"), "abcb");
	/* The turn has used up what a was read for. */
	CHECK_STR(set_misses("clock", 2, "abacda"), "abcda");
	/* What is written was not read since. */
	CHECK_STR(set_misses("clock", 2, "abaABca"), "abca");
}

TEST(sieve)
{
	/* a stays in its place, and the hand has come by; the next one goes. */
	CHECK_STR(set_misses("sieve", 3, "abcadaeab"), "abcdeb");
	/* The hand is behind a: c goes, although a has not been used again. */
	CHECK_STR(set_misses("sieve", 3, "abcadeca"), "abcdec");
}

TEST(s3fifo)
{
	/* Small and main queue of one; a was used twice in the small one. */
	CHECK_STR(set_misses("s3fifo", 2, "aaabca"), "abc");
	/* What comes back soon after it had left goes to the main one. */
	CHECK_STR(set_misses("s3fifo", 2, "abcadea"), "abcade");
	CHECK_STR(set_misses("s3fifo", 2, "abcacda"), "abcad");
}

TEST(unknown_policy)
{
	CHECK(!set_model_new("none", 26, 2));
}

/* Segments of two units; a sealed one goes as soon as the next one is full. */
static struct log_config log_config(enum log_grain grain, u32 turns, u32 bound_percent)
{
	return (struct log_config) {
		.segs = 5, .seg_units = 2, .unit_sectors = UNIT, .gc_percent = 100,
		.kset_keys = 128, .grain = grain, .turns = turns, .bound_percent = bound_percent,
	};
}

static const char *log_misses(enum log_grain grain, u32 turns, u32 bound_percent,
			      const char *story, struct log_figures *figures, u64 *stored)
{
	struct log_config c = log_config(grain, turns, bound_percent);
	struct model *m = log_model_new(&c, 26);
	const char *missed = play(m, story);

	*figures = *log_model_figures(m);
	*stored = m->stored;
	model_free(m);
	return missed;
}

TEST(log_fifo)
{
	struct log_figures f;
	u64 stored;

	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 0, 0, "ABaCDdca", &f, &stored), "a");
	CHECK_EQ(f.segs, 1);
	CHECK_EQ(f.live, 2);
	CHECK_EQ(f.used, 0);
	CHECK_EQ(stored, 5);
	/* Garbage keeps its place until its segment's turn. */
	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 0, 0, "ABABab", &f, &stored), "");
	CHECK_EQ(f.live, 0);
}

TEST(log_clock)
{
	struct log_figures f;
	u64 stored;

	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 1, 50, "ABaCDab", &f, &stored), "b");
	CHECK_EQ(f.used, 1);
	CHECK_EQ(f.copied, 1);
	CHECK_EQ(stored, 4 + 1 + 1);
	/* Both were used; one may stay. */
	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 1, 50, "ABabCDab", &f, &stored), "b");
	CHECK_EQ(f.used, 2);
	CHECK_EQ(f.copied, 1);
	/* A tenth of two is none. */
	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 1, 10, "ABaCDa", &f, &stored), "a");
	/* What was superseded is not copied. */
	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 1, 50, "ABaACa", &f, &stored), "");
	CHECK_EQ(f.copied, 0);
}

TEST(log_turns)
{
	struct log_figures f;
	u64 stored;

	/* a's segment has its turn, then the one that a was copied to. */
	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 1, 50, "ABaaCDEFGa", &f, &stored), "a");
	CHECK_STR(log_misses(LOG_GRAIN_UNIT, 2, 50, "ABaaCDEFGa", &f, &stored), "");
}

/* Two units that are written by one request, of which one is read. */
static const char *pair_misses(enum log_grain grain)
{
	struct log_config c = log_config(grain, 1, 100);
	struct trace_request rq = { 0, 2 * UNIT, TRACE_WRITE };
	const struct trace t = { .request = &rq, .nr = 1 };
	const struct playing how = { .unit_sectors = UNIT };
	struct model *m = log_model_new(&c, 26);
	struct miss_figures figures;
	const char *missed;

	model_run(m, &t, &how, &figures);
	missed = play(m, "aXYab");
	model_free(m);
	return missed;
}

TEST(log_grains)
{
	struct log_figures f;
	u64 stored;

	CHECK_STR(pair_misses(LOG_GRAIN_UNIT), "b");
	CHECK_STR(pair_misses(LOG_GRAIN_KEY), "");
	/* Two keys that follow each other on both devices; two that don't. */
	CHECK_STR(log_misses(LOG_GRAIN_KEY, 1, 100, "ABaXYab", &f, &stored), "b");
	CHECK_STR(log_misses(LOG_GRAIN_MERGED, 1, 100, "ABaXYab", &f, &stored), "");
	CHECK_STR(log_misses(LOG_GRAIN_MERGED, 1, 100, "CBbXYbc", &f, &stored), "c");
}

/* Of three units, the segment has room for two. */
TEST(log_cuts_fills)
{
	struct log_config c = log_config(LOG_GRAIN_UNIT, 0, 0);
	struct trace_request rq = { 0, 3 * UNIT, TRACE_READ };
	const struct trace t = { .request = &rq, .nr = 1 };
	const struct playing how = { .unit_sectors = UNIT };
	struct model *m = log_model_new(&c, 26);
	struct miss_figures figures;

	model_run(m, &t, &how, &figures);
	CHECK_EQ(figures.fills, 1);
	CHECK_EQ(figures.stored_bytes, 2 * 4096);
	CHECK_STR(play(m, "abc"), "c");
	rq.op = TRACE_WRITE;
	model_run(m, &t, &how, &figures);
	CHECK_EQ(figures.stored_bytes, 3 * 4096);
	model_free(m);
}

TEST(parts_of_units)
{
	struct trace_request rq[] = {
		{ 4, 8, TRACE_READ }, { 0, 4, TRACE_READ }, { 12, 8, TRACE_READ },
		{ 0, 0, TRACE_FLUSH },
	};
	const struct trace t = { .request = rq, .nr = 4, .end = 20 };
	struct playing how = { .unit_sectors = UNIT };
	struct model *m = set_model_new("lru", 4, 4);
	struct miss_figures figures;

	model_run(m, &t, &how, &figures);
	model_free(m);
	CHECK_EQ(figures.read_bytes, 20 * 512);
	CHECK_EQ(figures.missed_bytes, (8 + 4) * 512);
	CHECK_EQ(figures.stored_bytes, 3 * 4096);
	CHECK_EQ(figures.fills, 2);
	CHECK_EQ(trace_footprint(&t, UNIT), 3 * 4096);
	CHECK_EQ(trace_footprint(&t, 1), 20 * 512);
	how.from = 2;
	m = set_model_new("lru", 4, 4);
	model_run(m, &t, &how, &figures);
	model_free(m);
	CHECK_EQ(figures.read_bytes, 8 * 512);
	CHECK_EQ(figures.missed_bytes, 4 * 512);
	CHECK_EQ(figures.fills, 1);
}

TEST(cutoff)
{
	struct trace_request rq[] = {
		{ 0, 8, TRACE_READ }, { 800, 8, TRACE_READ }, { 8, 8, TRACE_READ },
		{ 16, 8, TRACE_READ }, { 808, 8, TRACE_READ }, { 24, 8, TRACE_READ },
	};
	const struct trace t = { .request = rq, .nr = 6, .end = 816 };
	const struct playing how = { .unit_sectors = UNIT, .cutoff_sectors = 16 };
	struct model *m = set_model_new("lru", 128, 100);
	struct miss_figures figures;

	model_run(m, &t, &how, &figures);
	CHECK_EQ(figures.fills, 4);
	CHECK(m->ops->touch(m, 1));
	CHECK(!m->ops->touch(m, 2));
	CHECK(m->ops->touch(m, 101));
	model_free(m);
}

/* Traces */

static const char *load(const char *text, struct trace *t)
{
	char name[] = "/tmp/trace-XXXXXX";
	struct trace_spec spec = { .name = name, .requests = 100 };
	const char *error;
	int fd = mkstemp(name);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	error = trace_make(&spec, t);
	unlink(name);
	return error;
}

TEST(own_format)
{
	struct trace t;

	CHECK(!load("# a comment\nr 7 8\n\nw 15 16\nf\n", &t));
	CHECK_EQ(t.nr, 3);
	CHECK_EQ(t.shift, 1);
	CHECK_EQ(t.request[0].sector, 8);
	CHECK_EQ(t.request[1].sector, 16);
	CHECK_EQ(t.request[1].op, TRACE_WRITE);
	CHECK_EQ(t.request[2].op, TRACE_FLUSH);
	CHECK_EQ(t.end, 32);
	CHECK(!t.generated);
	trace_free(&t);
}

TEST(published_format)
{
	struct trace t;

	CHECK(!load("version,time,op,size,lbn\n1,5,2a,512,3\n1,6,28,4096,64\n", &t));
	CHECK_EQ(t.nr, 2);
	CHECK_EQ(t.request[0].op, TRACE_WRITE);
	CHECK_EQ(t.request[0].sectors, 1);
	CHECK_EQ(t.request[1].op, TRACE_READ);
	CHECK_EQ(t.request[1].sector, 64);
	trace_free(&t);
}

TEST(bad_files)
{
	struct trace_spec spec = { .name = "/nonexistent/trace", .requests = 1 };
	struct trace t;

	CHECK_STR(load("r 0 8\nx 0 8\n", &t), "line 2 is no request");
	CHECK_STR(load("r 0 0\n", &t), "line 1 is no request");
	CHECK_STR(load("r 0 8193\n", &t), "line 1 is no request");
	CHECK_STR(load("r 2147483648 8\n", &t), "line 1 is no request");
	CHECK_STR(load("1,5,35,512,3\n", &t), "line 1 is no request");
	CHECK_STR(load("ff\n", &t), "line 1 is no request");
	CHECK_STR(load("# nothing\n", &t), "there are no requests in it");
	CHECK_STR(trace_make(&spec, &t), "No such file or directory");
}

TEST(generated)
{
	struct trace_spec spec = {
		.seed = 7, .requests = 5000, .blocks = 4096, .cache_blocks = 400, .theta = 0.9,
		.write_percent = 30,
	};

	for (u32 i = 0; trace_names[i]; i++) {
		struct trace a, b;

		spec.name = trace_names[i];
		CHECK(trace_is_generated(spec.name));
		CHECK(!trace_make(&spec, &a) && !trace_make(&spec, &b));
		CHECK_EQ(a.nr, 5000);
		CHECK(!memcmp(a.request, b.request, a.nr * sizeof(*a.request)));
		CHECK(a.end <= 4096 * UNIT);
		if (trace_fits_cache(spec.name))
			CHECK_EQ(trace_footprint(&a, UNIT) / 4096, 444);
		trace_free(&a);
		trace_free(&b);
	}
}

TEST_MAIN()
