// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is told of a running cache. The message `stats`: its text; histograms of latency,
 * request by request; the age of what is dirty. Events.
 */
#include "fixture.h"

/*
 * What it says
 */

static const char *stats_text(struct fixture *f)
{
	static char text[SZ_4K];

	CHECK_EQ(dm_host_message(f->h.md, "stats", text, sizeof(text)), 1);
	CHECK(strlen(text) + 1 < sizeof(text));
	return text;
}

/* Behind the name that a line begins with. */
static const char *line_of(const char *text, const char *name)
{
	size_t n = strlen(name);

	while (strncmp(text, name, n) || text[n] != ' ') {
		text = strchr(text, '\n');
		CHECK(text && *++text, "there is no line %s", name);
	}
	return text + n;
}

/* A line's numbers; there must be exactly @nr. */
static void numbers_of(struct fixture *f, const char *name, u64 *numbers, u32 nr)
{
	const char *at = line_of(stats_text(f), name);

	for (u32 i = 0; i < nr; i++) {
		char *end;

		CHECK_EQ(*at, ' ');
		numbers[i] = strtoull(at + 1, &end, 10);
		CHECK(end > at + 1);
		at = end;
	}
	CHECK_EQ(*at, '\n');
}

struct latency {
	u64 us;
	u64 n[PCACHE_LATENCY_BUCKETS];
};

/* How many requests have had an outcome. */
static u64 outcomes(struct fixture *f, const char *outcome, struct latency *l)
{
	struct latency ignored;
	char name[40];
	u64 sum = 0;

	l = l ?: &ignored;
	snprintf(name, sizeof(name), "latency_%s", outcome);
	numbers_of(f, name, (u64 *)l, sizeof(*l) / sizeof(u64));
	for (u32 i = 0; i < PCACHE_LATENCY_BUCKETS; i++)
		sum += l->n[i];
	return sum;
}

/* As many as the counters say, when none has ended with an error. */
static void check_outcomes(struct fixture *f)
{
	struct host_status st = status(f);

	CHECK_EQ(outcomes(f, "hit", NULL), st.read_hits);
	CHECK_EQ(outcomes(f, "miss", NULL), st.read_misses + st.read_partial_hits);
	CHECK_EQ(outcomes(f, "write", NULL), st.writes - st.space_waits);
	CHECK_EQ(outcomes(f, "wait", NULL), st.space_waits);
	CHECK_EQ(outcomes(f, "flush", NULL), st.flushes);
}

static void test_text(void)
{
	static const char expected[] =
		"dirty_sectors 0\ncached_sectors 8\nread_hits 1\nread_partial_hits 0\n"
		"read_misses 0\nwrites 1\nwrite_overwrites 0\nfills 0\nbypasses 0\n"
		"discards 0\nflushes 1\nspace_waits 0\nwriteback_sectors 8\n"
		"writeback_errors 0\nmedia_errors 0\ncrc_errors 0\nreclaimed_segments 0\n"
		"second_chances 0\ndirty_bytes 0\ndirty_seconds 0\nlatency_hit ";
	char whole[SZ_4K], part[sizeof(whole)];
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	write_sectors(&f, 16, 8);
	flush(&f);
	check_range(&f, 16, 8);
	CHECK_EQ(message(&f, "flush"), 0);
	strcpy(whole, stats_text(&f));
	CHECK(!strncmp(whole, expected, strlen(expected)), "is \"%s\"", whole);
	CHECK_EQ(whole[strlen(whole) - 1], '\n');
	/* A buffer that is too small is filled, by which Device-Mapper knows, not passed. */
	for (size_t room = 1; room <= strlen(whole); room++) {
		memset(part, 'x', sizeof(part));
		CHECK_EQ(dm_host_message(f.h.md, "stats", part, room), 1);
		CHECK_EQ(strlen(part), room - 1);
		CHECK_EQ(part[room], 'x');
		CHECK(!strncmp(part, whole, room - 1), "\"%s\"", part);
	}
	CHECK_EQ(dm_host_message(f.h.md, "stats", part, 0), 1);
	detach(&f);
	fixture_close(&f);
}

/* However large the numbers are. */
static void test_text_is_bounded(void)
{
	struct pcache *pc = kzalloc(sizeof(*pc), GFP_KERNEL);
	char text[SZ_8K];

	CHECK(pc && !pcache_stats_init(pc));
	spin_lock_init(&pc->journal.lock);
	memset(per_cpu_ptr(pc->counters, 0), 0x7f, sizeof(struct pcache_counters));
	CHECK(pcache_print_stats(pc, text, sizeof(text)) < SZ_4K);
	pcache_stats_exit(pc);
	kfree(pc);
}

/*
 * Histograms
 */

static void test_buckets(void)
{
	CHECK_EQ(pcache_latency_bucket(0), 0);
	CHECK_EQ(pcache_latency_bucket(999), 0);
	for (u32 i = 1; i < PCACHE_LATENCY_BUCKETS; i++) {
		u64 from = (1000ULL << i) / 2;

		CHECK_EQ(pcache_latency_bucket(from - 1), i - 1);
		CHECK_EQ(pcache_latency_bucket(from), i);
	}
	CHECK_EQ(pcache_latency_bucket(U64_MAX), PCACHE_LATENCY_BUCKETS - 1);
}

static void test_outcomes(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	check_outcomes(&f);
	write_sectors(&f, 0, 8);
	CHECK_EQ(try_write(&f, 4, 8, REQ_FUA), 0);
	check_range(&f, 0, 12);
	check_range(&f, 8, 8);
	check_range(&f, 100, 8);
	flush(&f);
	CHECK_EQ(outcomes(&f, "write", NULL), 2);
	CHECK_EQ(outcomes(&f, "hit", NULL), 1);
	CHECK_EQ(outcomes(&f, "miss", NULL), 2);
	CHECK_EQ(outcomes(&f, "wait", NULL), 0);
	CHECK_EQ(outcomes(&f, "flush", NULL), 1);
	check_outcomes(&f);

	/* Errors are left out. */
	port_bdev_fault(f.h.disk, PORT_FAULT_READ, 200, 8, 1, BLK_STS_IOERR);
	CHECK_EQ(try_read(&f, 200, 8), -EIO);
	CHECK_EQ(status(&f).read_misses, 2);
	CHECK_EQ(outcomes(&f, "miss", NULL), 2);

	CHECK_EQ(message(&f, "clear_stats"), 0);
	check_outcomes(&f);
	CHECK_EQ(outcomes(&f, "write", NULL), 0);
	check_range(&f, 0, 12);
	CHECK_EQ(outcomes(&f, "hit", NULL), 1);
	check_outcomes(&f);
	detach(&f);

	host_attach_ro(&f.h, "");
	check_range(&f, 0, 12);
	check_range(&f, 300, 12);
	CHECK_EQ(outcomes(&f, "hit", NULL), 1);
	CHECK_EQ(outcomes(&f, "miss", NULL), 1);
	detach(&f);
	fixture_close(&f);
}

/* What took so many microseconds, and nothing but that, is in the buckets from theirs on. */
static void check_took(struct fixture *f, const char *outcome, u64 times, u64 us)
{
	u32 bucket = pcache_latency_bucket(us * 1000);
	struct latency l;

	CHECK_EQ(outcomes(f, outcome, &l), times);
	CHECK(l.us >= times * us, "%s: %llu us", outcome, (unsigned long long)l.us);
	for (u32 i = 0; i < bucket; i++)
		CHECK_EQ(l.n[i], 0);
	/* Bucket i begins with 2^(i-1) us. */
	for (u32 i = bucket; i < PCACHE_LATENCY_BUCKETS; i++)
		CHECK(l.us >= l.n[i] << i >> 1);
}

static void read_missing(void *arg)
{
	check_range(arg, 500, 8);
}

static void test_slow_miss(void)
{
	struct task_struct *reader;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	port_bdev_hold(f.h.disk, true);
	reader = shim_spawn("reader", read_missing, &f);
	AWAIT(status(&f).read_misses == 1);
	usleep(40000);
	CHECK_EQ(outcomes(&f, "miss", NULL), 0);
	port_bdev_hold(f.h.disk, false);
	shim_join(reader);
	check_took(&f, "miss", 1, 40000);
	detach(&f);
	fixture_close(&f);
}

/* The cache is full, and for a while the backing device takes nothing. */
static void test_waits(void)
{
	const struct writer how = { .max_sectors = 60, .writes = 120, .flush_every = 20 };
	struct writer w[2];
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	port_bdev_hold(f.h.disk, true);
	start_writers(&f, w, 2, &how);
	AWAIT(status(&f).space_waits == 2);
	usleep(40000);
	CHECK_EQ(outcomes(&f, "wait", NULL), 0);
	CHECK_EQ(message(&f, "clear_stats"), 0);
	WRITE_ONCE(w[0].writes, 0);
	WRITE_ONCE(w[1].writes, 0);
	port_bdev_hold(f.h.disk, false);
	join_writers(w, 2);
	check_took(&f, "wait", 2, 40000);
	CHECK_EQ(outcomes(&f, "write", NULL), 0);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* Under load nothing is lost or counted twice. */
static void test_load(void)
{
	const struct writer how = { .max_sectors = 60, .writes = 300, .flush_every = 7 };
	struct writer w[3];
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "2 data_crc true");
	start_writers(&f, w, 3, &how);
	for (u32 i = 0; i < 100; i++)
		CHECK_EQ(try_read(&f, rnd(SMALL_SECTORS - 64), 64), 0);
	join_writers(w, 3);
	CHECK_EQ(status(&f).writes, 900);
	check_outcomes(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * Age
 */

#define AGE_KSETS	200000

/**
 * struct age_model - a log whose ksets are committed, and cleaned, at any time
 * @a: what is tested
 * @time: when each kset was committed
 * @next: ord of the next kset
 * @tail: ord of the first dirty one
 * @now: the time
 * @longest: that any has been dirty since all was clean
 */
struct age_model {
	struct pcache_age a;
	u64 *time;
	u64 next;
	u64 tail;
	u64 now;
	u64 longest;
};

static void age_check(struct age_model *m)
{
	u64 is, age;

	if (m->tail == m->next) {
		m->longest = 0;
		return;
	}
	is = m->now - m->time[m->tail];
	age = pcache_age_of(&m->a, m->tail, m->now);
	m->longest = max(m->longest, is);
	CHECK(age >= is && age <= is + 1 + m->longest / 20, "%llu, said is %llu, longest %llu",
	      (unsigned long long)is, (unsigned long long)age, (unsigned long long)m->longest);
}

/* So many commits in as many seconds and more, while up to @cleaned ksets become clean each. */
static void age_run(struct age_model *m, u32 commits, u32 seconds, u32 cleaned)
{
	while (commits-- && m->next < AGE_KSETS) {
		m->now += host_below(&rnd_state, seconds + 1);
		age_check(m);
		m->time[m->next] = m->now;
		pcache_age_note(&m->a, m->next++, m->tail, m->now);
		CHECK(m->a.nr >= 1 && m->a.nr <= PCACHE_AGE_MARKS);
		age_check(m);
		m->tail = min(m->next, m->tail + host_below(&rnd_state, cleaned + 1));
		age_check(m);
	}
}

static void test_age_model(void)
{
	struct age_model m = { .now = 1000 };

	m.time = calloc(AGE_KSETS, sizeof(*m.time));
	pcache_age_init(&m.a, m.now);
	while (m.next < AGE_KSETS) {
		u32 seconds = rnd(3) ? 1 : rnd(30);

		/* It falls behind, for shorter and for longer, and catches up. */
		age_run(&m, 1 + rnd(8000), seconds, rnd(3) ? 0 : 1);
		age_run(&m, 1 + rnd(3000), seconds, 1 + rnd(20));
		if (!rnd(3))
			m.tail = m.next;
	}
	free(m.time);
}

static u64 dirty_seconds(struct fixture *f)
{
	u64 seconds;

	numbers_of(f, "dirty_seconds", &seconds, 1);
	return seconds;
}

static u64 dirty_bytes(struct fixture *f)
{
	u64 bytes;

	numbers_of(f, "dirty_bytes", &bytes, 1);
	return bytes;
}

/* Not older than @since, by the host's clock. */
static void check_young(struct fixture *f, double since)
{
	u64 is = dirty_seconds(f);

	CHECK(is <= host_seconds() - since + 1, "%llu", (unsigned long long)is);
}

static void test_age(void)
{
	struct fixture f;
	double since;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	usleep(2100000);
	CHECK_EQ(dirty_seconds(&f), 0);
	port_bdev_set_gone(f.h.disk, true);
	since = host_seconds();
	write_sectors(&f, 0, 8);
	/* Not since the attach, be it in the log or not. */
	check_young(&f, since);
	flush(&f);
	CHECK_EQ(dirty_bytes(&f), 8 << SECTOR_SHIFT);
	check_young(&f, since);
	usleep(2100000);
	write_sectors(&f, 100, 8);
	flush(&f);
	CHECK_EQ(dirty_bytes(&f), 16 << SECTOR_SHIFT);
	CHECK(dirty_seconds(&f) >= 2);
	detach(&f);
	/* Since the attach. */
	since = host_seconds();
	attach(&f, "");
	CHECK_EQ(dirty_bytes(&f), 16 << SECTOR_SHIFT);
	check_young(&f, since);
	usleep(2100000);
	CHECK(dirty_seconds(&f) >= 2);
	port_bdev_set_gone(f.h.disk, false);
	CHECK_EQ(message(&f, "flush"), 0);
	CHECK_EQ(dirty_seconds(&f), 0);
	CHECK_EQ(dirty_bytes(&f), 0);
	detach(&f);
	fixture_close(&f);
}

/*
 * Events
 */

/* So many have come, and no more come on their own. */
static void check_events(struct fixture *f, u32 nr)
{
	AWAIT(dm_host_events(f->h.md) >= nr);
	usleep(20000);
	CHECK_EQ(dm_host_events(f->h.md), nr);
}

static void fail_writes(struct fixture *f)
{
	port_bdev_fault(f->h.disk, PORT_FAULT_WRITE, 0, SMALL_SECTORS, PORT_FAULT_ALWAYS,
			BLK_STS_IOERR);
}

/* Writes what cannot be written back, until that has been tried @times more. */
static void run_into_errors(struct fixture *f, u32 times)
{
	u64 before = status(f).writeback_errors;

	random_writes(f, 3, 20);
	flush(f);
	AWAIT(status(f).writeback_errors >= before + times);
}

static void test_events_of_errors(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	check_events(&f, 1);
	random_writes(&f, 5, 20);
	check_all(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	check_events(&f, 1);

	fail_writes(&f);
	run_into_errors(&f, 3);
	check_events(&f, 2);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(message(&f, "flush"), 0);
	check_events(&f, 3);

	/* They go on over a suspend, and end behind it. */
	fail_writes(&f);
	run_into_errors(&f, 1);
	check_events(&f, 4);
	CHECK(!dm_host_suspend(f.h.md, false));
	CHECK(!dm_host_resume(f.h.md));
	run_into_errors(&f, 2);
	check_events(&f, 4);
	CHECK(!dm_host_suspend(f.h.md, false));
	port_bdev_clear_faults(f.h.disk);
	CHECK(!dm_host_resume(f.h.md));
	CHECK_EQ(message(&f, "flush"), 0);
	check_events(&f, 5);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* A kset goes bad. @clean: reclaim finds that, not write-back. */
static void events_of_states(bool clean)
{
	struct kset_place ksets[4];
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	port_bdev_hold(f.h.disk, !clean);
	for (u32 i = 0; i < 2; i++) {
		write_sectors(&f, i * 8, 8);
		flush(&f);
	}
	if (clean)
		CHECK_EQ(message(&f, "flush"), 0);
	check_events(&f, 1);
	CHECK_EQ(find_ksets(&f, 0, 0, ksets, ARRAY_SIZE(ksets)), 2);
	port_pmem_poison(f.h.pmem, ksets[clean ? 0 : 1].off, 1);
	port_bdev_hold(f.h.disk, false);
	if (clean)
		CHECK_EQ(message(&f, "gc_percent 0"), 0);
	AWAIT(!strcmp(status(&f).state, "fail"));
	check_events(&f, 2);
	/* It is not the backing device that has failed. */
	CHECK(!host_logged("write-back failed"));
	detach(&f);

	CHECK_TEXT(refusal(&f, "", false),
		   "Cache log is damaged (see the kernel log): attach read-only, or repair");
	host_attach_ro(&f.h, "");
	CHECK_TEXT(status(&f).needs_check, "needs_check");
	check_events(&f, 1);
	CHECK(!dm_host_suspend(f.h.md, false));
	CHECK(!dm_host_resume(f.h.md));
	check_events(&f, 1);
	detach(&f);
	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	fixture_close(&f);
}

static void test_events_of_states(void)
{
	events_of_states(true);
	events_of_states(false);
}

static const struct test_case cases[] = {
	{ "text", test_text },
	{ "text_is_bounded", test_text_is_bounded },
	{ "buckets", test_buckets },
	{ "outcomes", test_outcomes },
	{ "slow_miss", test_slow_miss },
	{ "waits", test_waits },
	{ "load", test_load },
	{ "age_model", test_age_model },
	{ "age", test_age },
	{ "events_of_errors", test_events_of_errors },
	{ "events_of_states", test_events_of_states },
};

int main(int argc, char **argv)
{
	return run_cases("stats-test", cases, ARRAY_SIZE(cases), 30, argc, argv);
}
