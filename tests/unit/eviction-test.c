// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What leaves the cache and what stays: second turns of what was used, and what may be
 * wrong with its data; reads of long streams, which bypass the cache.
 */
#include "fixture.h"

#define GC_PERCENT	50
#define HOT		8	/* sectors from 0 on */
#define COLD		200	/* from here on */
#define COLD_SECTORS	40	/* of one write */
/* All that is cached has had its turn when so much was written. */
#define TURN		(SMALL_SEGS * PCACHE_DATA_SECTORS)

static void open_cache(struct fixture *f, const char *options)
{
	char line[200];
	u32 words = 2;

	for (const char *c = options; *c; c++)
		words += *c == ' ' || c == options;
	snprintf(line, sizeof(line), "%u gc_percent %u%s%s", words, GC_PERCENT,
		 options[0] ? " " : "", options);
	fixture_open(f, SMALL_SEGS, SMALL_SECTORS);
	attach(f, line);
}

static void close_cache(struct fixture *f)
{
	check_all(f);
	detach(f);
	check_disk(f);
	attach(f, "");
	check_all(f);
	detach(f);
	fixture_close(f);
}

static bool reclaims(struct fixture *f)
{
	return status(f).segs_used * 100 >= SMALL_SEGS * GC_PERCENT;
}

/* All is clean, and reclaim is through: so nothing waits for room. */
static void settle(struct fixture *f)
{
	CHECK_EQ(message(f, "flush"), 0);
	AWAIT(!reclaims(f));
}

/* Writes what nobody reads, round and round. */
static void write_cold(struct fixture *f, u32 sectors)
{
	static u32 at;

	for (u32 done = 0; done < sectors; done += COLD_SECTORS) {
		write_sectors(f, COLD + at, COLD_SECTORS);
		at = (at + COLD_SECTORS) % (SMALL_SECTORS - COLD - COLD_SECTORS);
		settle(f);
	}
}

/* Hot data that lies behind some other. */
static void write_hot(struct fixture *f)
{
	write_cold(f, 2 * COLD_SECTORS);
	write_sectors(f, 0, HOT);
	settle(f);
}

static const char * const variants[] = { "data_crc false", "data_crc true", NULL };

/*
 * Second turns
 */

/* What is read again and again, while several times as much is written. */
static struct host_status keep_reading(const char *options)
{
	struct host_status st;
	struct fixture f;

	open_cache(&f, options);
	write_hot(&f);
	for (u32 i = 0; i < 60; i++) {
		check_range(&f, 0, HOT);
		write_cold(&f, 100);
	}
	st = status(&f);
	close_cache(&f);
	return st;
}

static void test_second_turn(void)
{
	struct host_status st;

	for (u32 i = 0; variants[i]; i++) {
		char options[100];

		st = keep_reading(variants[i]);
		CHECK_EQ(st.read_hits, 60);
		CHECK_EQ(st.read_misses + st.read_partial_hits, 0);
		CHECK(st.second_chances >= 5, "%llu", st.second_chances);
		CHECK_EQ(st.write_overwrites, 0);
		CHECK_EQ(st.crc_errors + st.media_errors, 0);

		snprintf(options, sizeof(options), "%s eviction fifo", variants[i]);
		st = keep_reading(options);
		CHECK(st.read_misses >= 3, "%llu", st.read_misses);
		CHECK_EQ(st.second_chances, 0);
	}
}

/* What was read once has one more turn; what was not, none. */
static void test_one_turn(void)
{
	struct fixture f;

	open_cache(&f, "");
	write_hot(&f);
	check_range(&f, 0, HOT);
	write_cold(&f, 6 * TURN);
	/* A segment's end may have cut it in two. */
	CHECK(status(&f).second_chances >= 1 && status(&f).second_chances <= 2, "%llu",
	      status(&f).second_chances);
	CHECK_EQ(status(&f).read_misses, 0);
	check_range(&f, 0, HOT);
	CHECK_EQ(status(&f).read_misses, 1);
	close_cache(&f);

	open_cache(&f, "");
	write_hot(&f);
	write_cold(&f, 2 * TURN);
	CHECK_EQ(status(&f).second_chances, 0);
	close_cache(&f);
}

/* Use is not remembered on the medium. */
static void test_not_after_attach(void)
{
	struct fixture f;

	open_cache(&f, "");
	write_hot(&f);
	check_range(&f, 0, HOT);
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, GC_PERCENT);
	write_cold(&f, 2 * TURN);
	CHECK_EQ(status(&f).second_chances, 0);
	close_cache(&f);
}

/* A copy is clean: nothing of it goes to the backing device. */
static void test_copies_are_clean(void)
{
	struct host_status before, after;
	struct fixture f;

	for (u32 i = 0; variants[i]; i++) {
		open_cache(&f, variants[i]);
		write_hot(&f);
		check_range(&f, 0, HOT);
		before = status(&f);
		write_cold(&f, TURN);
		after = status(&f);
		CHECK(after.second_chances > before.second_chances);
		CHECK_EQ(after.writeback_sectors - before.writeback_sectors,
			 (after.writes - before.writes) * COLD_SECTORS);
		CHECK_EQ(after.dirty_sectors, 0);
		close_cache(&f);
	}
}

/* Of a key that was overwritten in its middle the rest is copied, with CRCs of its own. */
static void test_parts_of_keys(void)
{
	struct fixture f;

	for (u32 i = 0; variants[i]; i++) {
		open_cache(&f, variants[i]);
		write_cold(&f, 3 * COLD_SECTORS);
		write_sectors(&f, 0, 24);
		settle(&f);
		write_sectors(&f, 9, 5);
		settle(&f);
		for (u32 n = 0; n < 20; n++) {
			check_range(&f, 0, 24);
			write_cold(&f, 200);
		}
		CHECK_EQ(status(&f).read_hits, 20);
		CHECK(status(&f).second_chances >= 6, "%llu", status(&f).second_chances);
		CHECK_EQ(status(&f).crc_errors, 0);
		close_cache(&f);
	}
}

static void discard(struct fixture *f, u32 at, u32 n)
{
	CHECK_EQ(dm_host_rw(dm_host_bdev(f->h.md), REQ_OP_DISCARD, at, NULL, n), 0);
}

/* What was used and then discarded has no second turn; what is around it has. */
static void discarded(const char *options)
{
	struct fixture f;
	u64 before;

	host_section("%s", options);
	open_cache(&f, options);
	write_hot(&f);
	check_range(&f, 0, HOT);
	discard(&f, 0, HOT);
	write_cold(&f, 2 * TURN);
	CHECK_EQ(status(&f).second_chances, 0);

	write_sectors(&f, 0, 24);
	settle(&f);
	check_range(&f, 0, 24);
	discard(&f, 8, 8);
	before = status(&f).read_misses;
	while (status(&f).second_chances < 2)
		write_cold(&f, COLD_SECTORS);
	check_range(&f, 0, 8);
	check_range(&f, 16, 8);
	CHECK_EQ(status(&f).read_misses, before);
	/* It was written back before, and its key is gone: it is as if it had never been cached. */
	check_range(&f, 8, 8);
	CHECK_EQ(status(&f).read_misses, before + 1);
	AWAIT(status(&f).fills);
	check_range(&f, 0, 24);
	CHECK_EQ(status(&f).read_misses + status(&f).read_partial_hits, before + 1);
	close_cache(&f);
}

static void test_discarded(void)
{
	for (u32 i = 0; variants[i]; i++)
		discarded(variants[i]);
}

/* Data that was dirty when it was discarded, and never got to the backing device. */
static void test_left_out(void)
{
	struct fixture f;

	open_cache(&f, "writeback_order fast");
	write_cold(&f, 2 * COLD_SECTORS);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 0, HOT, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	write_sectors(&f, 0, HOT);
	check_range(&f, 0, HOT);
	discard(&f, 0, HOT);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(status(&f).dirty_sectors, 0);
	write_cold(&f, 2 * TURN);
	CHECK_EQ(status(&f).second_chances, 0);
	for (u32 i = 0; i < HOT; i++)
		f.newest[i] = 0;
	close_cache(&f);
}

/* What was written since it was read is not brought back. */
static void test_overwritten(void)
{
	struct fixture f;

	open_cache(&f, "");
	write_hot(&f);
	for (u32 i = 0; i < 40; i++) {
		check_range(&f, 0, HOT);
		write_cold(&f, 100);
		write_sectors(&f, i % HOT, 1);
		settle(&f);
	}
	CHECK_EQ(status(&f).read_misses + status(&f).read_partial_hits, 0);
	close_cache(&f);
}

/*
 * However much is used, a quarter of a segment is copied at most. All fits in the cache,
 * and is used; keys have 2 sectors, which no bound or end cuts, and do not merge.
 */
static void test_bound(void)
{
	u32 nr = SMALL_SECTORS / 8, rounds = 8;
	struct host_status st;
	struct fixture f;

	BUILD_BUG_ON(PCACHE_DATA_SECTORS % 8);	/* two sectors in a quarter */
	open_cache(&f, "");
	for (u32 i = 0; i < rounds * nr; i++) {
		write_sectors(&f, i % nr * 4, 2);
		if (i % 32)
			continue;
		settle(&f);
		for (u32 k = 0; k < nr; k++)
			check_range(&f, k * 4, 2);
	}
	settle(&f);
	st = status(&f);
	CHECK(st.second_chances * 8 > st.writes + st.fills, "%llu of %llu",
	      st.second_chances, st.writes + st.fills);
	CHECK(st.second_chances * 4 <=
	      st.writes + st.fills + st.second_chances + PCACHE_DATA_SECTORS / 2,
	      "%llu of %llu", st.second_chances, st.writes + st.fills);
	close_cache(&f);
}

/* Used data that cannot be read has no second turn, and is on the backing device. */
static void spoilt(const char *options, bool poison)
{
	struct host_status st;
	struct fixture f;
	u64 place;

	open_cache(&f, options);
	write_hot(&f);
	check_range(&f, 0, HOT);
	place = place_of(&f, 3, 1);
	if (poison)
		port_pmem_poison(f.h.pmem, place & ~63ULL, 64);
	else
		f.media[place + 17] ^= 4;
	/* No longer than that: the place is used again, and stays bad. */
	do {
		write_cold(&f, COLD_SECTORS);
		st = status(&f);
	} while (!st.media_errors && !st.crc_errors);
	CHECK_EQ(st.second_chances, 0);
	CHECK_EQ(st.media_errors, poison);
	CHECK_EQ(st.crc_errors, !poison);
	CHECK(host_logged(poison ? "media error in clean data of sectors 0 to 7" :
			  "CRC error in clean data of sectors 0 to 7"));
	CHECK_EQ(st.read_misses, 0);
	check_range(&f, 0, HOT);
	CHECK_EQ(status(&f).read_misses, 1);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_spoilt(void)
{
	spoilt("data_crc false", true);
	spoilt("data_crc true", true);
	spoilt("data_crc true", false);
}

/* The message takes effect at once. */
static void test_message(void)
{
	struct fixture f;
	u64 before;

	open_cache(&f, "eviction fifo");
	write_hot(&f);
	check_range(&f, 0, HOT);
	CHECK_EQ(message(&f, "eviction clock"), 0);
	write_cold(&f, TURN);
	before = status(&f).second_chances;
	CHECK(before > 0);
	check_range(&f, 0, HOT);
	CHECK_EQ(message(&f, "eviction fifo"), 0);
	write_cold(&f, 2 * TURN);
	CHECK_EQ(status(&f).second_chances, before);
	close_cache(&f);
}

/*
 * Streams
 */

/* Reads @sectors in requests of @n, and waits until what is filled is filled. */
static void read_stream(struct fixture *f, u32 at, u32 sectors, u32 n)
{
	for (u32 end = at + sectors; at < end; at += n)
		check_range(f, at, n);
	/* Fills are over when it is suspended. */
	CHECK(!dm_host_suspend(f->h.md, false) && !dm_host_resume(f->h.md));
}

static void check_pieces(struct fixture *f, u64 fills, u64 bypasses)
{
	CHECK_EQ(status(f).fills, fills);
	CHECK_EQ(status(f).bypasses, bypasses);
	CHECK_EQ(message(f, "clear_stats"), 0);
}

static void test_cutoff(void)
{
	struct fixture f;

	open_cache(&f, "sequential_cutoff_kb 16");
	read_stream(&f, 0, 160, 8);
	check_pieces(&f, 4, 16);
	/* It goes on, and is as long as before. */
	read_stream(&f, 160, 8, 8);
	check_pieces(&f, 0, 1);
	/* Another one; and one that is too long from the beginning. */
	read_stream(&f, 1000, 32, 32);
	check_pieces(&f, 1, 0);
	read_stream(&f, 1100, 33, 33);
	check_pieces(&f, 0, 1);
	/* Not in order. */
	for (u32 i = 0; i < 10; i++)
		read_stream(&f, 300 + (i ^ 1) * 8, 8, 8);
	check_pieces(&f, 10, 0);

	CHECK_EQ(message(&f, "sequential_cutoff_kb 4"), 0);
	read_stream(&f, 500, 24, 8);
	check_pieces(&f, 1, 2);
	CHECK_EQ(message(&f, "sequential_cutoff_kb 0"), 0);
	read_stream(&f, 600, 80, 8);
	check_pieces(&f, 10, 0);
	close_cache(&f);
}

/* So many streams take turns; each is longer than the cutoff with its third read. */
static void take_turns(u32 streams, bool known)
{
	struct fixture f;

	open_cache(&f, "sequential_cutoff_kb 1");
	for (u32 i = 0; i < 3; i++)
		for (u32 k = 0; k < streams; k++)
			check_range(&f, k * 8 + i, 1);
	read_stream(&f, SMALL_SECTORS - 1, 1, 1);
	check_pieces(&f, (known ? 2 : 3) * streams + 1, known ? streams : 0);
	close_cache(&f);
}

static void test_many_streams(void)
{
	take_turns(PCACHE_STREAMS, true);
	take_turns(PCACHE_STREAMS + 1, false);
}

/* A stream that is cut off is served from the cache, but that is no use. */
static void test_cut_off_is_no_use(void)
{
	struct fixture f;

	open_cache(&f, "sequential_cutoff_kb 3");
	write_hot(&f);
	check_range(&f, 0, HOT);
	CHECK_EQ(status(&f).read_hits, 1);
	write_cold(&f, 2 * TURN);
	CHECK_EQ(status(&f).second_chances, 0);

	CHECK_EQ(message(&f, "sequential_cutoff_kb 4"), 0);
	write_hot(&f);
	check_range(&f, 0, HOT);
	write_cold(&f, TURN);
	CHECK(status(&f).second_chances > 0);
	close_cache(&f);
}

static const struct test_case cases[] = {
	{ "second_turn", test_second_turn },
	{ "one_turn", test_one_turn },
	{ "not_after_attach", test_not_after_attach },
	{ "copies_are_clean", test_copies_are_clean },
	{ "parts_of_keys", test_parts_of_keys },
	{ "discarded", test_discarded },
	{ "left_out", test_left_out },
	{ "overwritten", test_overwritten },
	{ "bound", test_bound },
	{ "spoilt", test_spoilt },
	{ "message", test_message },
	{ "cutoff", test_cutoff },
	{ "many_streams", test_many_streams },
	{ "cut_off_is_no_use", test_cut_off_is_no_use },
};

int main(int argc, char **argv)
{
	return run_cases("eviction-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}
