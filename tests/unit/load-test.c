// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A random load against a model that knows the version of each sector.
 *
 * Some tasks submit bursts: up to BURST requests that overlap, all in flight at
 * once, submitted by one task or by two at the same time. What may be read of a
 * sector follows from which writes had ended before which requests were
 * submitted. The range of a burst is locked against the other tasks, in stripes
 * smaller than a stretch, so that tasks share shards of the index and segments
 * all the time.
 *
 * The load goes in rounds, each with an attach of its own: other options, a look
 * at the whole device, messages, suspends in between; then what is on the
 * backing device alone, or what is read after the next attach, is compared with
 * the model. From the middle on the cache is formatted anew, without data_crc.
 *
 * OPS, SEED and TASKS in the environment: how many requests, the seed, how many
 * tasks. A run with few requests does not look at its own counts.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/completion.h>

#include "host.h"
#include "pcache.h"

#define FULL_OPS	1000000
#define ROUNDS		110
#define CACHE_SEGS	64
#define DISK_BYTES	(48 << 20)
#define SECTORS		(DISK_BYTES >> SECTOR_SHIFT)
#define STRIPE_SECTORS	128
#define STRIPES		(SECTORS / STRIPE_SECTORS)
#define BURST		8
#define MAX_SECTORS	2048
#define MAX_TASKS	8
/* Without an end of requests for so long it hangs. */
#define HANG_SECONDS	60

/* One request of a burst. */
struct op {
	struct burst *burst;
	u32 nr;
	blk_opf_t opf;
	u32 sector;
	u32 sectors;
	u32 version;	/* of what a write writes */
	u32 before;	/* bit per request that had ended when this was submitted */
	u8 *buf;
	int error;
};

struct burst {
	struct op ops[BURST];
	u32 nr;
	u32 ended;	/* bit per request */
	u32 from, to;
	struct completion done;
	atomic_t pending;
};

/* A task that makes bursts, and its partner, which submits half of some. */
struct submitter {
	struct host_random rnd;
	struct burst burst;
	struct task_struct *task;
	struct task_struct *partner;
	struct completion partner_go;
	struct completion partner_done;
	bool partner_stop;
	u32 ops;
	u8 *memory;
	u8 *whole;
};

/* What has been done, over all rounds. */
struct totals {
	u64 ops, small, medium, large;
	u64 reads, writes, flushes, fuas;
	u64 attaches, suspends, formats, disk_compares, short_of_memory;
	u64 space_waits, reclaimed, writeback_sectors, hits, partial_hits, misses, fills;
};

static struct host host;
static struct totals totals;
static u32 model[SECTORS];
static pthread_mutex_t stripes[STRIPES];
static struct submitter submitters[MAX_TASKS];
static u32 nr_tasks;
static u32 next_version = 1;
static u64 progress;
static bool stop_side;

static struct block_device *target(void)
{
	return dm_host_bdev(host.md);
}

static void count(u64 *what, u64 n)
{
	__atomic_fetch_add(what, n, __ATOMIC_RELAXED);
}

/*
 * Ranges
 */

static void lock_range(u32 from, u32 to)
{
	for (u32 i = from / STRIPE_SECTORS; i <= (to - 1) / STRIPE_SECTORS; i++)
		pthread_mutex_lock(&stripes[i]);
}

static void unlock_range(u32 from, u32 to)
{
	for (u32 i = from / STRIPE_SECTORS; i <= (to - 1) / STRIPE_SECTORS; i++)
		pthread_mutex_unlock(&stripes[i]);
}

/*
 * What may be read
 */

static bool covers(const struct op *op, u32 sector)
{
	return op->sectors && sector >= op->sector && sector < op->sector + op->sectors;
}

/* Bit per write of the burst that covers a sector. */
static u32 writes_at(const struct burst *b, u32 sector)
{
	u32 mask = 0;

	for (u32 i = 0; i < b->nr; i++)
		if (op_is_write(b->ops[i].opf) && covers(&b->ops[i], sector))
			mask |= 1u << i;
	return mask;
}

/*
 * Of the writes in @writes, those whose data may be there for who came when
 * @before had ended: no later write had ended by then. *@old: so may what was
 * there before the burst.
 */
static u32 writes_seen(const struct burst *b, u32 writes, u32 before, bool *old)
{
	u32 seen = writes;

	for (u32 i = 0; i < b->nr; i++)
		if (writes & before & (1u << i))
			seen &= ~b->ops[i].before;
	*old = !(writes & before);
	return seen;
}

/* From @sector on, at most to @end, all sectors are covered by the same requests. */
static u32 same_until(const struct burst *b, u32 sector, u32 end)
{
	for (u32 i = 0; i < b->nr; i++) {
		u32 from = b->ops[i].sector, to = from + b->ops[i].sectors;

		if (from > sector)
			end = min(end, from);
		if (to > sector)
			end = min(end, to);
	}
	return end;
}

/* Which version a sector's content is, of those allowed; U32_MAX: of none. */
static u32 version_of(const struct burst *b, const void *buf, u32 sector, u32 seen, bool old)
{
	u32 version = *(const u64 *)buf >> 32;

	if (!host_pattern_is(buf, sector, version))
		return U32_MAX;
	if (old && version == model[sector])
		return version;
	for (u32 i = 0; i < b->nr; i++)
		if ((seen & (1u << i)) && b->ops[i].version == version)
			return version;
	return U32_MAX;
}

static void describe_burst(const struct burst *b, u32 sector)
{
	fprintf(stderr, "model: version %u; the burst:\n", model[sector]);
	for (u32 i = 0; i < b->nr; i++) {
		const struct op *op = &b->ops[i];

		fprintf(stderr, "  %u: %s, sectors %u + %u, version %u, behind %x%s\n", i,
			op_is_write(op->opf) ? "write" : "read", op->sector, op->sectors,
			op->version, op->before, covers(op, sector) ? " (covers it)" : "");
	}
}

static void check_sector(const struct burst *b, const void *buf, u32 sector, u32 seen, bool old)
{
	if (version_of(b, buf, sector, seen, old) != U32_MAX)
		return;
	describe_burst(b, sector);
	CHECK(0, "sector %u holds %s", sector, host_pattern_describe(buf));
}

static void check_read(const struct burst *b, const struct op *op)
{
	u32 at = op->sector, end = at + op->sectors;

	while (at < end) {
		u32 until = same_until(b, at, end);
		bool old;
		u32 seen = writes_seen(b, writes_at(b, at), op->before, &old);

		for (; at < until; at++)
			check_sector(b, op->buf + ((at - op->sector) << SECTOR_SHIFT), at, seen, old);
	}
}

/* The model takes over what the burst wrote; where it cannot know, it looks. */
static void settle(struct submitter *s, const struct burst *b)
{
	u32 at = b->from, all = (1u << b->nr) - 1;

	while (at < b->to) {
		u32 until = same_until(b, at, b->to);
		bool old;
		u32 seen = writes_seen(b, writes_at(b, at), all, &old);

		if (seen && !(seen & (seen - 1))) {
			for (; at < until; at++)
				model[at] = b->ops[__builtin_ctz(seen)].version;
		} else if (seen) {
			until = min(until, at + MAX_SECTORS);
			host_read(&host, at, s->whole, until - at);
			for (u32 i = 0; at < until; at++, i++) {
				const void *buf = s->whole + (i << SECTOR_SHIFT);

				check_sector(b, buf, at, seen, false);
				model[at] = version_of(b, buf, at, seen, false);
			}
		}
		at = until;
	}
}

/*
 * Bursts
 */

/* Half small at odd places, a quarter up to 64 KiB, the rest up to 1 MiB. */
static u32 random_sectors(struct host_random *rnd)
{
	u32 class = host_below(rnd, 4);

	if (class < 2) {
		count(&totals.small, 1);
		return 1 + host_below(rnd, 8);
	}
	if (class == 2) {
		count(&totals.medium, 1);
		return 1 + host_below(rnd, 128);
	}
	count(&totals.large, 1);
	return 1 + host_below(rnd, MAX_SECTORS);
}

static void make_op(struct submitter *s, struct op *op, u32 near)
{
	struct host_random *rnd = &s->rnd;
	u32 what = host_below(rnd, 1000), at;

	op->burst = &s->burst;
	op->nr = op - s->burst.ops;
	op->buf = s->memory + op->nr * ((MAX_SECTORS << SECTOR_SHIFT) + PAGE_SIZE);
	op->buf += host_below(rnd, PAGE_SIZE >> SECTOR_SHIFT) << SECTOR_SHIFT;
	op->error = 0;
	op->version = 0;
	op->sectors = random_sectors(rnd);
	at = min(near + (u32)host_below(rnd, 256), SECTORS - 1 - op->sectors);
	op->sector = op->sectors <= 8 ? at | 1 : at;
	if (what < 450) {
		op->opf = REQ_OP_READ;
		count(&totals.reads, 1);
		/* What is left of an earlier read might look right. */
		for (u32 i = 0; i < op->sectors; i++)
			op->buf[(i << SECTOR_SHIFT) + (op->sector + i) % SECTOR_SIZE] ^= 0x5a;
		return;
	}
	op->opf = REQ_OP_WRITE;
	if (what < 460)
		op->opf |= REQ_PREFLUSH;
	if (what >= 455 && what < 475)
		op->opf |= REQ_FUA;
	op->version = __atomic_fetch_add(&next_version, 1, __ATOMIC_RELAXED);
	host_pattern(op->buf, op->sector, op->sectors, op->version);
	count(&totals.writes, 1);
	count(&totals.flushes, !!(op->opf & REQ_PREFLUSH));
	count(&totals.fuas, !!(op->opf & REQ_FUA));
}

static void make_flush(struct op *op)
{
	op->opf = REQ_OP_WRITE | REQ_PREFLUSH;
	op->sectors = 0;
	count(&totals.flushes, 1);
}

static void make_burst(struct submitter *s)
{
	struct burst *b = &s->burst;
	u32 near = host_below(&s->rnd, SECTORS), i;

	b->nr = host_chance(&s->rnd, 60) ? 1 : 2 + host_below(&s->rnd, BURST - 1);
	b->nr = min(b->nr, s->ops);
	b->from = SECTORS;
	b->to = 0;
	b->ended = 0;
	for (i = 0; i < b->nr; i++) {
		struct op *op = &b->ops[i];

		make_op(s, op, near);
		b->from = min(b->from, op->sector);
		b->to = max(b->to, op->sector + op->sectors);
	}
	s->ops -= b->nr;
	/* Flushes are counted on top. */
	if (b->nr < BURST && host_chance(&s->rnd, 5)) {
		struct op *op = &b->ops[b->nr];

		op->burst = b;
		op->nr = b->nr++;
		op->error = 0;
		op->version = 0;
		op->sector = near;
		make_flush(op);
	}
}

static void op_done(void *data, int error)
{
	struct op *op = data;
	struct burst *b = op->burst;

	op->error = error;
	__atomic_fetch_or(&b->ended, 1u << op->nr, __ATOMIC_RELEASE);
	count(&progress, 1);
	if (atomic_dec_and_test(&b->pending))
		complete(&b->done);
}

/* Submits every @step-th request from @first on. */
static void submit_some(struct burst *b, u32 first, u32 step)
{
	for (u32 i = first; i < b->nr; i += step) {
		struct op *op = &b->ops[i];

		op->before = __atomic_load_n(&b->ended, __ATOMIC_ACQUIRE);
		dm_host_rw_async(target(), op->opf, op->sectors ? op->sector : 0, op->buf,
				 op->sectors, op_done, op);
	}
}

static void partner_task(void *arg)
{
	struct submitter *s = arg;

	for (;;) {
		wait_for_completion(&s->partner_go);
		if (s->partner_stop)
			return;
		submit_some(&s->burst, 1, 2);
		complete(&s->partner_done);
	}
}

static void run_burst(struct submitter *s)
{
	struct burst *b = &s->burst;
	u32 i;

	make_burst(s);
	lock_range(b->from, b->to);
	init_completion(&b->done);
	atomic_set(&b->pending, b->nr);
	if (b->nr > 1 && host_chance(&s->rnd, 50)) {
		complete(&s->partner_go);
		submit_some(b, 0, 2);
		wait_for_completion(&s->partner_done);
	} else {
		submit_some(b, 0, 1);
	}
	wait_for_completion(&b->done);
	for (i = 0; i < b->nr; i++)
		CHECK(b->ops[i].error == 0, "%s of %u sectors at %u: %d",
		      op_is_write(b->ops[i].opf) ? "write" : "read", b->ops[i].sectors,
		      b->ops[i].sector, b->ops[i].error);
	for (i = 0; i < b->nr; i++)
		if (!op_is_write(b->ops[i].opf))
			check_read(b, &b->ops[i]);
	settle(s, b);
	unlock_range(b->from, b->to);
	count(&totals.ops, b->nr);
}

static void submitter_task(void *arg)
{
	struct submitter *s = arg;

	s->partner_stop = false;
	init_completion(&s->partner_go);
	init_completion(&s->partner_done);
	s->partner = shim_spawn("partner", partner_task, s);
	while (s->ops)
		run_burst(s);
	s->partner_stop = true;
	complete(&s->partner_go);
	shim_join(s->partner);
}

/*
 * Rounds
 */

static void check_whole_device(void)
{
	static u8 buf[1 << 20] __aligned(PAGE_SIZE);
	u32 at, i;

	for (at = 0; at < SECTORS; at += sizeof(buf) >> SECTOR_SHIFT) {
		host_read(&host, at, buf, sizeof(buf) >> SECTOR_SHIFT);
		for (i = 0; i < sizeof(buf) >> SECTOR_SHIFT; i++)
			CHECK(host_pattern_is(buf + (i << SECTOR_SHIFT), at + i, model[at + i]),
			      "sector %u holds %s, expected version %u", at + i,
			      host_pattern_describe(buf + (i << SECTOR_SHIFT)), model[at + i]);
	}
}

static void check_disk(void)
{
	const u8 *disk = host_disk(&host);

	for (u32 i = 0; i < SECTORS; i++)
		CHECK(host_pattern_is(disk + (i << SECTOR_SHIFT), i, model[i]),
		      "backing device, sector %u holds %s, expected version %u", i,
		      host_pattern_describe(disk + (i << SECTOR_SHIFT)), model[i]);
	count(&totals.disk_compares, 1);
}

/* Beside the load: messages and suspends. */
static void side_task(void *arg)
{
	struct host_random rnd;
	char message[32];

	host_seed(&rnd, (unsigned long)arg);
	while (!__atomic_load_n(&stop_side, __ATOMIC_RELAXED)) {
		struct host_status st;
		bool noflush = host_chance(&rnd, 50);

		usleep(1000 + host_below(&rnd, 100000));
		switch (host_below(&rnd, 5)) {
		case 0:
			host_message(&host, "flush");
			break;
		case 1:
			snprintf(message, sizeof(message), "gc_percent %u",
				 (u32)host_below(&rnd, PCACHE_GC_PERCENT_MAX + 1));
			host_message(&host, message);
			break;
		case 2:
			host_message(&host, "stats");
			host_status(&host, &st);
			break;
		default:
			CHECK_EQ(dm_host_suspend(host.md, noflush), 0);
			CHECK_EQ(dm_host_resume(host.md), 0);
			count(&totals.suspends, 1);
		}
	}
}

/*
 * Memory is short: half of what must not wait for it gets none, nor does some of
 * what could wait but not for I/O.
 */
static bool memory_is_short(gfp_t gfp, size_t size)
{
	static u32 calls;
	u32 n = __atomic_fetch_add(&calls, 2654435761u, __ATOMIC_RELAXED) >> 24;

	if (gfpflags_allow_blocking(gfp))
		return !(gfp & __GFP_IO) && n < 64;
	return n < 128;
}

static void load(u32 round, u32 ops)
{
	struct task_struct *side;
	u32 i;

	stop_side = false;
	side = shim_spawn("side", side_task, (void *)(unsigned long)round);
	for (i = 0; i < nr_tasks; i++) {
		submitters[i].ops = ops / nr_tasks;
		submitters[i].task = shim_spawn("load", submitter_task, &submitters[i]);
	}
	for (i = 0; i < nr_tasks; i++)
		shim_join(submitters[i].task);
	__atomic_store_n(&stop_side, true, __ATOMIC_RELAXED);
	shim_join(side);
}

static void add_status(void)
{
	struct host_status st;

	host_status(&host, &st);
	CHECK(!strcmp(st.state, "rw"), "state is %s", st.state);
	CHECK_EQ(st.writeback_errors, 0);
	CHECK_EQ(st.media_errors, 0);
	CHECK_EQ(st.crc_errors, 0);
	CHECK_EQ(st.cache_segs, CACHE_SEGS);
	totals.space_waits += st.space_waits;
	totals.reclaimed += st.reclaimed_segments;
	totals.writeback_sectors += st.writeback_sectors;
	totals.hits += st.read_hits;
	totals.partial_hits += st.read_partial_hits;
	totals.misses += st.read_misses;
	totals.fills += st.fills;
}

static void run_round(u32 round, struct host_random *rnd, u32 ops, bool crc, bool format)
{
	char options[128];

	host_section("round %u", round);
	snprintf(options, sizeof(options), "%u data_crc %s writeback_order %s gc_percent %u%s",
		 format ? 8 : 6, crc ? "true" : "false",
		 host_chance(rnd, 50) ? "ordered" : "fast", 20 + (u32)host_below(rnd, 71),
		 format ? " format force" : "");
	host_attach(&host, options);
	totals.attaches++;
	totals.formats += format;
	check_whole_device();
	if (host_chance(rnd, 10))
		host_message(&host, "cleaner");
	if (host_chance(rnd, 20)) {
		port_set_alloc_failure(memory_is_short);
		totals.short_of_memory++;
	}
	load(round, ops);
	port_set_alloc_failure(NULL);
	if (format || host_chance(rnd, 30)) {
		host_message(&host, "flush");
		check_disk();
	}
	if (host_chance(rnd, 20))
		host_message(&host, "flush_on_suspend");
	add_status();
	host_detach(&host);
}

/* Then nothing is dirty, nor does reading make anything dirty. */
static void make_clean(void)
{
	struct host_status st;

	host_attach(&host, "");
	host_message(&host, "flush");
	check_disk();
	check_whole_device();
	host_status(&host, &st);
	CHECK_EQ(st.dirty_sectors, 0);
	CHECK(st.cached_sectors <= CACHE_SEGS * PCACHE_DATA_SECTORS);
	host_detach(&host);
}

/*
 * Order
 */

#define WAITING		20
#define LATER		200
#define SAME_SECTOR	7
#define PIECE_SECTORS	128

static u32 ended[WAITING];
static u32 nr_ended;

static void waited(void *data, int error)
{
	static u32 next;
	u32 at = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);

	CHECK(!error);
	if (at < WAITING)
		ended[at] = (unsigned long)data;
	__atomic_fetch_add(&nr_ended, 1, __ATOMIC_RELEASE);
}

static void filled(void *data, int error)
{
	CHECK(!error);
	count(&progress, 1);
}

/* Fills the cache while the backing device takes nothing, until a write waits. */
static u32 fill_cache(const u8 *content)
{
	struct host_status st;
	u32 at = 0;

	do {
		CHECK(at < SECTORS, "a cache of %u segments took everything", CACHE_SEGS);
		dm_host_rw_async(target(), REQ_OP_WRITE, at,
				 (u8 *)content + ((size_t)at << SECTOR_SHIFT), PIECE_SECTORS,
				 filled, NULL);
		at += PIECE_SECTORS;
		host_status(&host, &st);
	} while (!st.space_waits);
	return at;
}

/* Writes the next version of one sector. */
static void write_later(u8 *buf, u32 nr)
{
	buf += nr * SECTOR_SIZE;
	model[SAME_SECTOR] = ++next_version;
	host_pattern(buf, SAME_SECTOR, 1, model[SAME_SECTOR]);
	dm_host_rw_async(target(), REQ_OP_WRITE, SAME_SECTOR, buf, 1, waited,
			 (void *)(unsigned long)nr);
}

/* Writes that find no room wait, and go on in the order in which they came. */
static void test_order(void)
{
	u8 *content, *waiting, sector[SECTOR_SIZE] __aligned(SECTOR_SIZE);
	u32 n, i;

	host_section("order of waiting");
	CHECK(!posix_memalign((void **)&content, PAGE_SIZE, DISK_BYTES));
	CHECK(!posix_memalign((void **)&waiting, PAGE_SIZE, (WAITING + LATER) * SECTOR_SIZE));
	host_pattern(content, 0, SECTORS, next_version);
	host_attach(&host, "2 data_crc true");
	port_bdev_hold(host.disk, true);
	n = fill_cache(content);
	for (i = 0; i < n; i++)
		model[i] = next_version;
	for (i = 0; i < WAITING; i++)
		write_later(waiting, i);
	usleep(20000);
	CHECK_EQ(__atomic_load_n(&nr_ended, __ATOMIC_ACQUIRE), 0);
	host_read(&host, 0, sector, 1);
	CHECK(host_pattern_is(sector, 0, model[0]));
	port_bdev_hold(host.disk, false);
	/* None of those that come now may overtake one that waits. */
	for (; i < WAITING + LATER; i++)
		write_later(waiting, i);
	while (__atomic_load_n(&nr_ended, __ATOMIC_ACQUIRE) < WAITING + LATER)
		usleep(1000);
	for (i = 0; i < WAITING; i++)
		CHECK_EQ(ended[i], i);
	check_whole_device();
	next_version++;
	host_detach(&host);
	free(content);
	free(waiting);
}

#define SCATTERED	2000

static u64 writeback_errors(void)
{
	struct host_status st;

	host_status(&host, &st);
	return st.writeback_errors;
}

/* All of write-back's many small writes fail, several at the same time. Nothing is lost. */
static void test_write_errors(void)
{
	u8 sector[SECTOR_SIZE] __aligned(SECTOR_SIZE);
	u64 errors;

	host_section("write errors");
	host_attach(&host, "4 data_crc true writeback_order fast");
	port_bdev_fault(host.disk, PORT_FAULT_WRITE, 0, SECTORS, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	for (u32 at = 0; at < 2 * SCATTERED; at += 2) {
		model[at] = ++next_version;
		host_pattern(sector, at, 1, model[at]);
		host_write(&host, at, sector, 1);
	}
	next_version++;
	host_flush(&host);
	errors = writeback_errors();
	while (writeback_errors() < errors + 2 * SCATTERED)
		usleep(1000);
	port_bdev_clear_faults(host.disk);
	host_message(&host, "flush");
	check_disk();
	check_whole_device();
	host_detach(&host);
}

static void hang(int sig)
{
	static u64 last;
	u64 now = __atomic_load_n(&progress, __ATOMIC_RELAXED);
	char line[1024] = "";

	if (now != last) {
		last = now;
		alarm(HANG_SECONDS);
		return;
	}
	if (host.md)
		dm_host_status(host.md, STATUSTYPE_INFO, 0, line, sizeof(line));
	CHECK(0, "nothing has ended for %u s; status: %s", HANG_SECONDS, line);
}

static void prepare(u64 seed)
{
	size_t bytes = BURST * ((MAX_SECTORS << SECTOR_SHIFT) + PAGE_SIZE);
	u32 i;

	host_open(&host, ALIGN(PCACHE_SEGS_OFF + CACHE_SEGS * PCACHE_SEG_BYTES, PAGE_SIZE),
		  DISK_BYTES);
	host_pattern(host_disk(&host), 0, SECTORS, 0);
	for (i = 0; i < STRIPES; i++)
		pthread_mutex_init(&stripes[i], NULL);
	for (i = 0; i < nr_tasks; i++) {
		struct submitter *s = &submitters[i];

		host_seed(&s->rnd, seed + i);
		CHECK(!posix_memalign((void **)&s->memory, PAGE_SIZE, bytes));
		CHECK(!posix_memalign((void **)&s->whole, PAGE_SIZE,
				      MAX_SECTORS << SECTOR_SHIFT));
	}
	signal(SIGALRM, hang);
	alarm(HANG_SECONDS);
}

static void finish(void)
{
	alarm(0);
	host_close(&host);
	for (u32 i = 0; i < nr_tasks; i++) {
		free(submitters[i].memory);
		free(submitters[i].whole);
	}
}

static void print_totals(void)
{
	const struct totals *t = &totals;

	printf("  %llu requests: %llu to 4 KiB, %llu to 64 KiB, %llu to 1 MiB; %llu reads, "
	       "%llu writes, %llu with FUA; %llu flushes\n",
	       t->ops, t->small, t->medium, t->large, t->reads, t->writes, t->fuas, t->flushes);
	printf("  %llu attaches, %llu of them short of memory; %llu formats, %llu suspends, "
	       "%llu comparisons of the backing device\n",
	       t->attaches, t->short_of_memory, t->formats, t->suspends, t->disk_compares);
	printf("  %llu waits for space, %llu turns of the log, %llu sectors written back, "
	       "%llu hits, %llu partial hits, %llu misses, %llu fills\n",
	       t->space_waits, t->reclaimed / CACHE_SEGS, t->writeback_sectors, t->hits,
	       t->partial_hits, t->misses, t->fills);
}

static void check_totals(void)
{
	const struct totals *t = &totals;

	host_section("the counts");
	CHECK(t->ops >= FULL_OPS);
	CHECK(t->reclaimed / CACHE_SEGS >= 20);
	CHECK(t->space_waits >= 1000);
	CHECK(t->attaches >= 100);
	CHECK(t->flushes >= 10000);
}

int main(void)
{
	u64 ops = host_env("OPS", FULL_OPS), seed = host_env("SEED", 20250101);
	u32 rounds = ops >= FULL_OPS ? ROUNDS : max(ops / 2500, 2ULL), i;
	struct host_random rnd;

	host_begin("load-test");
	nr_tasks = clamp(host_env("TASKS", 3), 1ULL, (u64)MAX_TASKS);
	printf("load-test: SEED=%llu OPS=%llu TASKS=%u\n", seed, ops, nr_tasks);
	host_seed(&rnd, seed);
	prepare(seed);
	test_order();
	test_write_errors();
	for (i = 0; i < rounds; i++) {
		bool second_half = i >= rounds / 2, format = i == rounds / 2;

		if (format)
			make_clean();
		run_round(i, &rnd, DIV_ROUND_UP(ops, rounds) + nr_tasks, !second_half, format);
	}
	make_clean();
	print_totals();
	if (ops >= FULL_OPS)
		check_totals();
	finish();
	return host_end();
}
