// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One session with the cache. The first task attaches it, reads all of it, starts
 * tasks that submit requests, sends messages, suspends and resumes meanwhile, and at
 * last detaches it, if the power does not go before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <shim/dm-host.h>
#include <shim/host.h>

#include "checker.h"
#include "disk-model.h"
#include "oracle.h"
#include "pcache.h"
#include "pmem-model.h"
#include "session.h"

#define MAX_SUBMITTERS 4
#define MAX_DEPTH 4
#define OP_SECTORS 64
#define STRETCH_SECTORS 8192	/* a key's range does not cross a multiple of it */
#define READ_SECTORS 256
/*
 * So much is too long for a request while the disk works: of virtual time, and, since the
 * clock may jump over what could run, of points.
 */
#define LATE (60 * HZ)
#define LATE_POINTS 300000
/* Held back for the log, and those that the log is in. */
#define SPARE_SEGS 7
/* So soon it is logged why a write has ended with an error. */
#define EXPLAIN_POINTS 2000
#define RUBBISH 0xa5
#define RUBBISH_BYTES 64
/* Nobody waits so long while all is idle, unless the disk has failed not long ago. */
#define STALL_NS (100 * NSEC_PER_MSEC)
#define RETRIED_NS (60 * NSEC_PER_SEC)

struct op {
	struct submitter *submitter;
	blk_opf_t flags;
	u64 sector;
	u32 sectors;
	u32 write;		/* the oracle's number */
	u32 again;		/* that of what its buffer is changed to meanwhile; 0: is not */
	u32 changes;		/* how often it still is */
	u32 spoilt;		/* sectors of the buffer that got rubbish at the end */
	u64 begin;
	u64 disk_failed;	/* by then */
	unsigned long begun;	/* jiffies */
	u64 begun_at;		/* points */
	u64 idle_ns;		/* so long nobody did anything meanwhile */
	bool scribbled;
	bool busy;
	u8 *buf;
};

struct position {
	unsigned int seg, off;
};

struct submitter {
	struct task_struct *task;
	wait_queue_head_t wait;
	u32 busy;
	u32 left;
	struct op op[MAX_DEPTH];
};

static struct {
	struct session *s;
	struct sim_random random;
	struct mapped_device *md;
	struct submitter submitter[MAX_SUBMITTERS];
	struct {
		struct task_struct *task;
		wait_queue_head_t wait;
		bool stop;
	} changer;
	u64 issued;
	bool disk_broken;	/* not all writes and FLUSHes are served */
	unsigned long mended;	/* jiffies, when that ended */
	u64 mended_at;		/* points */
	u64 next_look;		/* points, for late requests */
	bool cleaner_asked;	/* a write may wait for what cannot be read */
	bool cache_failed;	/* state "fail" */
	bool worn;		/* the cache device is */
	u64 unexplained;	/* points, when a write ended with an error; 0: none has */
	bool first_could_go;	/* when the engine said that nothing can make room */
	bool cut_at_ack;	/* the power goes soon after the next acknowledged FLUSH */
	u32 script_at;
	u32 next_place;		/* of operation n */
	bool cleaner;		/* writes are done when they are clean */
	bool cleaned;		/* and those before are, too */
	bool through;		/* what is acknowledged, the backing device has */
	bool looked;
	bool known[DISK_MAX_SECTORS];	/* of what was looked at */
	bool gone;
	u64 second_turns;	/* of the status, when it was last looked at */
	char table[300];	/* as it was printed, for the next attach; empty: our own */
	struct task_struct *attacher;	/* while it resumes */
	bool others;		/* another task has passed a moment since */
	u64 failed;		/* by the disk, when it was last looked at */
	u64 retried_ns;		/* by then a failure is not felt any more */
	char error[1000];
	char log[8192];
	size_t log_bytes;
} run;

static u8 op_buffers[MAX_SUBMITTERS][MAX_DEPTH][OP_SECTORS << SECTOR_SHIFT] __aligned(4096);
static u8 whole[DISK_MAX_SECTORS << SECTOR_SHIFT] __aligned(4096);

static const struct sim_params *params(void)
{
	return run.s->p;
}

static u64 below(u64 n)
{
	return sim_below(&run.random, n);
}

static bool chance(u32 of_1024)
{
	return of_1024 && sim_chance(&run.random, of_1024);
}

u64 session_first_sector(const struct sim_params *p)
{
	return STRETCH_SECTORS - ALIGN(p->sectors / 2, 8);
}

/* Media errors, and a backing device that fails, excuse some. */
static bool media_errors(void)
{
	return pmem_model_was_poisoned();
}

static bool disk_errors(u64 since)
{
	return disk_model_failed() != since;
}

/* Cache modes */

static const char * const mode_names[] = {
	"writeback", "writethrough", "writearound", "writeonly",
};

static bool has_modes(void)
{
	return params()->mode || params()->modes;
}

static bool is_mode(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(mode_names); i++)
		if (!strcmp(name, mode_names[i]))
			return has_modes() || i == 0 || (run.worn && i == 2);
	return false;
}

/* Is the status one that promises that the backing device has all? */
static void note_mode(void)
{
	char text[1000], mode[16] = "";

	if (!has_modes() || run.s->only_look)
		return;
	dm_host_status(run.md, STATUSTYPE_INFO, 0, text, sizeof(text));
	if (sscanf(text, "%*u %*u pcache %*s %*s %*s %*s %*s %*s %*s %*s %*s %15s", mode) != 1)
		sim_fail("status: %s", text);
	run.through = run.cleaned || !strcmp(mode, mode_names[1]) || !strcmp(mode, mode_names[2]);
	if (run.through)
		oracle_all_on_disk();
}

static void flush_ended(u64 begin)
{
	oracle_flush_end(begin);
	if (run.through)
		oracle_all_on_disk();
}

/* Attaching */

/* From now on the medium may keep this; when it is said to be so, it does. */
static void begin_gc_percent(u32 percent)
{
	struct kept_value *v = run.s->gc_percent;

	if (!v)
		return;
	if (v->nr == KEPT_VALUES)
		sim_fail("gc_percent may be too much");
	v->may_be[v->nr++] = percent;
}

static void end_gc_percent(u32 percent)
{
	if (run.s->gc_percent)
		*run.s->gc_percent = (struct kept_value) { .nr = 1, .may_be = { percent } };
}

static void check_gc_percent(u32 percent)
{
	const struct kept_value *v = run.s->gc_percent;
	bool known = !v || media_errors();

	for (u32 i = 0; !known && i < v->nr; i++)
		known = v->may_be[i] == percent;
	if (!known)
		sim_fail("gc_percent is %u, the medium was to keep %u", percent, v->may_be[0]);
	end_gc_percent(percent);
}

/* Some do without what is the default. Gives how many words it took. */
static u32 pressure_options(char *text, size_t bytes)
{
	const struct sim_params *p = params();
	const struct {
		const char *name;
		u32 value, otherwise;
	} option[] = {
		{ "writeback_delay_ms", p->delay_ms, 0 },
		{ "dirty_low_percent", p->dirty_low, 50 },
		{ "dirty_high_percent", p->dirty_high, 80 },
	};
	u32 words = 0, n = 0;

	text[0] = '\0';
	for (u32 i = 0; i < ARRAY_SIZE(option); i++) {
		if (option[i].value == option[i].otherwise)
			continue;
		n += snprintf(text + n, bytes - n, " %s %u", option[i].name, option[i].value);
		words += 2;
	}
	return words;
}

static void table_line(char *line, size_t bytes, bool force, bool reload)
{
	const struct sim_params *p = params();
	bool mode = has_modes() && below(4), fifo = reload ? below(2) : !p->clock;
	bool cutoff = p->cutoff_kb && !(reload && below(2));
	u32 how = reload ? below(3) : p->copy, words;
	char gc[30] = "", evict[60] = "", pressure[100], copy[20] = "";

	if (!run.s->gc_percent) {
		snprintf(gc, sizeof(gc), " gc_percent %u", p->gc_percent);
	} else if (!run.s->read_only && !below(4)) {
		u32 percent = below(91);

		begin_gc_percent(percent);
		snprintf(gc, sizeof(gc), " gc_percent %u", percent);
	}
	if (cutoff)
		snprintf(evict, sizeof(evict), " sequential_cutoff_kb %u", p->cutoff_kb);
	strcat(evict, fifo ? " eviction fifo" : "");
	words = pressure_options(pressure, sizeof(pressure));
	if (how)
		snprintf(copy, sizeof(copy), " copy %s", how == 1 ? "nt" : "clwb");
	snprintf(line, bytes, "0 %llu pcache pmem0 vda %u data_crc %s writeback_order %s%s%s%s%s%s%s%s",
		 (unsigned long long)session_first_sector(p) + p->sectors,
		 4 + words + 2 * (!!gc[0] + force + mode + fifo + cutoff + !!how),
		 p->data_crc ? "true" : "false", p->fast ? "fast" : "ordered", gc, evict, pressure,
		 copy, mode ? " cache_mode " : "", mode ? mode_names[p->mode & 3] : "",
		 force ? " format force" : "");
}

/* What the checker found on the medium. */
static struct {
	struct checker_place places[DISK_MAX_SECTORS];
	const u8 *media;
	u32 dirty;
	u32 cached;
} medium;

static void check_position(const struct position *at, u32 segs, const char *line)
{
	if (at->seg >= segs || at->off > PCACHE_DATA_BYTES - PCACHE_LAST_BYTES ||
	    at->off % 8)
		sim_fail("a position is out of bounds: %s", line);
}

/*
 * Nine words as Linux's own has them, then ours. @changed: "medium" may be of the past by
 * now.
 */
static void check_status(const bool *changed)
{
	unsigned int super, seg_total, segs, used, gc, flags;
	unsigned long long dirty, cached;
	struct position at[3];
	char line[600], mode[20], state[8], check[16];

	if (dm_host_status(run.md, STATUSTYPE_INFO, 0, line, sizeof(line)))
		sim_fail("the status does not fit");
	if (sscanf(line, "0 %*u pcache %x %u %u %u %u %x %u:%u %u:%u %u:%u %19s %7s %15s %llu %llu",
		   &super, &seg_total, &segs, &used, &gc, &flags, &at[0].seg, &at[0].off,
		   &at[1].seg, &at[1].off, &at[2].seg, &at[2].off, mode, state, check, &dirty,
		   &cached) != 17)
		sim_fail("the status lacks words: %s", line);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++)
		check_position(&at[i], segs, line);
	if (super || seg_total > (pmem_model_bytes() - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES ||
	    segs != seg_total || used > segs || gc > 90 ||
	    !is_mode(mode))
		sim_fail("the status is not right: %s", line);
	check_gc_percent(gc);
	if (!media_errors() && (strcmp(state, run.s->read_only ? "ro" : "rw") || strcmp(check, "-")))
		sim_fail("the status has another state: %s", line);
	if (!*changed && !media_errors() && (dirty != medium.dirty || cached > medium.cached))
		sim_fail("the medium has %u dirty and %u cached sectors: %s", medium.dirty,
			 medium.cached, line);
}

/* By the rules of @state; what is found goes to @c and to "medium". */
static bool judge_medium(const u8 *media, enum checker_state state, struct checker *c)
{
	const struct sim_params *p = params();
	const struct checker_image image = {
		.media = media, .bytes = pmem_model_bytes(),
		.backing_sectors = session_first_sector(p) + p->sectors,
	};

	*c = (struct checker) {
		.first_sector = session_first_sector(p), .nr_sectors = p->sectors,
		.places = medium.places, .mainline_left = p->mainline,
	};
	return checker_run(&image, state, c) && !c->damaged;
}

/* The same; nobody must be in the middle of storing something there. */
static void check_medium(const u8 *media, enum checker_state state, const char *when)
{
	const struct sim_params *p = params();
	struct checker c;

	if (!judge_medium(media, state, &c))
		sim_fail("%s: %s", when, c.error);
	medium.media = media;
	medium.dirty = medium.cached = 0;
	for (u32 i = 0; i < p->sectors; i++) {
		medium.dirty += medium.places[i].dirty;
		medium.cached += !!medium.places[i].off;
	}
}

/* A discard has got to the backing device: a power cut now must leave no key of it. */
static void check_discarded(sector_t sector, u32 sectors)
{
	u64 first = session_first_sector(params());
	struct checker c;

	if (media_errors() || !judge_medium(pmem_model_durable(), CHECKER_CRASHED, &c))
		return;
	for (u64 at = max(sector, first); at < min(sector + sectors, first + params()->sectors); at++)
		if (medium.places[at - first].off)
			sim_fail("sector %llu is discarded on the backing device, but has a key in the log",
				 (unsigned long long)at);
}

/* What a sector holds by the log alone. */
static const u8 *as_logged(u64 sector)
{
	const struct checker_place *place = &medium.places[sector - session_first_sector(params())];

	return place->off ? medium.media + place->off : disk_model_sector(sector);
}

/* The disk and what is late */

static void note_disk(bool broken)
{
	if (run.disk_broken && !broken) {
		run.mended = jiffies;
		run.mended_at = sim_points();
	}
	run.disk_broken = broken;
}

static void set_disk_errors(u32 reads, u32 writes, u32 flushes)
{
	disk_model_set_errors(reads, writes, flushes);
	note_disk(run.gone || writes || flushes);
}

static const char *op_name(const struct op *op)
{
	switch (op->flags & REQ_OP_MASK) {
	case REQ_OP_READ:
		return "read";
	case REQ_OP_DISCARD:
		return "discard";
	case REQ_OP_WRITE_ZEROES:
		return "write zeroes";
	default:
		return op->sectors ? "write" : "flush";
	}
}

static void check_not_late(const struct op *op)
{
	unsigned long since = max(op->begun, run.mended);

	if (op->busy && jiffies - since > LATE &&
	    sim_points() - max(op->begun_at, run.mended_at) > LATE_POINTS)
		sim_fail("a request has been under way for %lu s: %s %llu+%u, write %u",
			 (jiffies - op->begun) / HZ, op_name(op),
			 (unsigned long long)op->sector, op->sectors, op->write);
}

static void check_none_late(void)
{
	for (u32 i = 0; !run.disk_broken && i < MAX_SUBMITTERS; i++)
		for (u32 k = 0; k < MAX_DEPTH; k++)
			check_not_late(&run.submitter[i].op[k]);
}

void session_moment(void)
{
	run.others |= current != run.attacher;
	if (run.unexplained && !run.cache_failed && sim_points() > run.unexplained + EXPLAIN_POINTS)
		sim_fail("a write or a flush has ended with an error, and %u bad lines do not hold all segments",
			 pmem_model_nr_poisoned());
	if (run.first_could_go)
		sim_fail("there is no room, but the first kset of the log could go");
	if (sim_points() < run.next_look)
		return;
	run.next_look = sim_points() + LATE_POINTS / 10;
	check_none_late();
}

/*
 * What attaching had to store is durable. Where write-back or reclaim have stored something
 * since, they may be in the middle of it: key_tail past the own place, and that not yet
 * forgotten.
 */
static int resume_attached(void)
{
	int r;

	run.attacher = current;
	run.cleaner_asked = false;
	run.cache_failed = run.worn = false;
	run.unexplained = 0;
	run.others = false;
	r = dm_host_resume(run.md);
	if (r || run.s->read_only || media_errors())
		return r;
	check_medium(pmem_model_durable(),
		     run.others ? CHECKER_CRASHED : CHECKER_ATTACHED, "just attached");
	check_status(&run.others);
	return 0;
}

static int try_attach(bool force, u32 fail_of_1024, char *error, size_t bytes)
{
	char line[300];
	int r;

	if (run.table[0])
		strcpy(line, run.table);
	else
		table_line(line, sizeof(line), force, false);
	error[0] = '\0';
	/* The host's own must not fail. */
	sim_set_alloc_failures(0);
	run.md = dm_host_create("cache");
	sim_set_alloc_failures(fail_of_1024);
	if (run.s->trace)
		fprintf(stderr, "[%8llu] table %s\n", (unsigned long long)sim_points(), line);
	r = dm_host_load(run.md, line, run.s->read_only, error, bytes);
	if (!r)
		r = resume_attached();
	if (r) {
		if (dm_host_remove(run.md))
			sim_fail("what was not resumed cannot be removed");
		run.md = NULL;
	}
	return r;
}

/* False: it was refused, as it may. */
static bool attach_with(bool force)
{
	char error[256];
	int r = try_attach(force, params()->alloc_fail, error, sizeof(error));

	if (r == -EBUSY) {
		force = false;
		r = try_attach(false, params()->alloc_fail, error, sizeof(error));
	}
	if (r == -ENOMEM && params()->alloc_fail) {
		r = try_attach(force, 0, error, sizeof(error));
		if (r == -EBUSY)
			r = try_attach(false, 0, error, sizeof(error));
		sim_set_alloc_failures(params()->alloc_fail);
	}
	if (!r) {
		check_status(&(const bool){ true });
		return true;
	}
	if (!media_errors())
		sim_fail("attaching: %d, %s", r, error);
	run.s->refused = true;
	return false;
}

static bool attach(void)
{
	return attach_with(run.s->force || (chance(params()->force) && !run.s->read_only));
}

/* Suspend leaves all that was written durable. */
static void suspend(bool noflush)
{
	u64 begin = oracle_now();
	int r = dm_host_suspend(run.md, noflush);

	if (r)
		sim_fail("suspend: %d", r);
	if (!media_errors())
		flush_ended(begin);
}

/* Removing does what suspending does, where that was not done before. */
static void detach(void)
{
	u64 begin = oracle_now();

	if (run.s->script || below(2))
		suspend(false);
	if (dm_host_remove(run.md))
		sim_fail("the device cannot be removed");
	run.md = NULL;
	if (!media_errors())
		flush_ended(begin);
	run.cleaner = run.cleaned = run.through = false;
	run.second_turns = 0;
}

static void table_of(char *line, size_t bytes)
{
	if (dm_host_status(run.md, STATUSTYPE_TABLE, 0, line, bytes))
		sim_fail("the table does not fit");
}

/* The table that is printed is taken back, and is then printed again as it was. */
static bool reattach(void)
{
	char now[sizeof(run.table)];
	bool attached;

	table_of(run.table, sizeof(run.table));
	detach();
	attached = attach_with(false);
	if (attached) {
		table_of(now, sizeof(now));
		if (strcmp(now, run.table))
			sim_fail("the table was %s, is %s", run.table, now);
	}
	run.table[0] = '\0';
	return attached;
}

/* Looking at what is there */

static int read_into_whole(u32 at, u32 n)
{
	memset(whole + (at << SECTOR_SHIFT), 0xee, n << SECTOR_SHIFT);
	return dm_host_rw(dm_host_bdev(run.md), REQ_OP_READ, session_first_sector(params()) + at,
			  whole + (at << SECTOR_SHIFT), n);
}

/* Reads all there is, sector by sector where something cannot be read. */
static void read_whole(void)
{
	u32 sectors = params()->sectors, block = params()->block;

	for (u32 at = 0, n; at < sectors; at += n) {
		int r;

		n = min(sectors - at, READ_SECTORS);
		r = read_into_whole(at, n);
		if (r && !media_errors())
			sim_fail("reading all: %d", r);
		for (u32 i = at; i < at + n; i += block) {
			bool known = !r || !read_into_whole(i, block);

			memset(run.known + i, known, block);
		}
	}
}

static void compare(void)
{
	struct session *s = run.s;
	u64 first = session_first_sector(params());
	u32 block = params()->block;

	/* A block is known as a whole or not at all. */
	for (u32 i = 0; i < params()->sectors; i++) {
		const u8 *is = whole + (i << SECTOR_SHIFT);
		const char *error;

		if (!run.known[i])
			continue;
		if (s->expected && s->known[i] &&
		    memcmp(is, s->expected + (i << SECTOR_SHIFT), SECTOR_SIZE))
			sim_fail("sector %llu is not read as the medium has it",
				 (unsigned long long)first + i);
		/* Of a log that media errors have cut, a read-only table shows what is left. */
		if (s->read_only && media_errors())
			continue;
		error = i % block ? NULL : oracle_recovered(is, first + i, block);
		if (error)
			sim_fail("%s", error);
	}
}

static void look(void)
{
	const struct sim_params *p = params();

	set_disk_errors(0, 0, 0);
	read_whole();
	compare();
	set_disk_errors(p->read_errors, p->write_errors, p->flush_errors);
	run.looked = true;
	if (!run.s->only_look)
		oracle_settle(whole, run.known);
}

/* Requests */

static void trace_op(const struct op *op, const char *what, int error)
{
	if (run.s->trace)
		fprintf(stderr, "[%8llu] %s %s%s%s %llu+%u write %u error %d\n",
			(unsigned long long)sim_points(), what, op_name(op),
			op->flags & REQ_FUA ? " fua" : "",
			op->sectors && op->flags & REQ_PREFLUSH ? " preflush" : "",
			(unsigned long long)op->sector, op->sectors, op->write, error);
}

/*
 * A write may end with an error because nothing can make room: then each segment is
 * held, by a line that is bad or, of SPARE_SEGS at most, by the log. Linux's own holds
 * nothing back for the log: what it leaves may have one bad line hold all. That the
 * cache has failed is logged a moment after others may see it.
 */
static void check_write_error(const struct op *op, int error)
{
	if ((has_modes() || op_is_discard(op->flags)) && op->sectors &&
	    disk_errors(op->disk_failed))
		return;
	if (!media_errors())
		sim_fail("a %s ended with %d", op_name(op), error);
	/* A write that waits until it is clean may come to a place that is bad. */
	if (run.cache_failed || run.worn || run.cleaner_asked || has_modes() || params()->rot ||
	    params()->mainline)
		return;
	if (!run.unexplained &&
	    (!op->sectors || pmem_model_nr_poisoned() + SPARE_SEGS < params()->segs))
		run.unexplained = sim_points();
}

static const struct pcache_media_kset *kset_at(const struct position *at)
{
	return (const void *)(pmem_model_view() + PCACHE_SEGS_OFF +
			      (u64)at->seg * PCACHE_SEG_BYTES + PCACHE_SEG_DATA_OFF + at->off);
}

/* Can the data of a key not be read, and does the log end with some of it in its place? */
static bool key_is_bad(const struct pcache_media_key *key)
{
	u64 at = (le64_to_cpu(key->off) >> SECTOR_SHIFT) - session_first_sector(params());
	u64 off = PCACHE_SEGS_OFF + (u64)le32_to_cpu(key->cache_seg_id) * PCACHE_SEG_BYTES +
		  PCACHE_SEG_DATA_OFF + le32_to_cpu(key->cache_seg_off);
	u32 bytes = le32_to_cpu(key->len);

	if (pmem_model_readable(NULL, off, bytes))
		return false;
	for (u32 i = 0; i < bytes; i += SECTOR_SIZE)
		if (medium.places[at + i / SECTOR_SIZE].off == off + i)
			return true;
	return false;
}

/*
 * Nothing can make room any more: then the first kset of the log has what cannot be read;
 * else its segments could become free. With CRCs that may be what stands beside a bad line.
 */
static bool first_kset_could_go(void)
{
	const struct pcache_media_tail *tail[2];
	const struct pcache_media_kset *ks;
	struct position at;
	struct checker c;

	for (u32 i = 0; i < 2; i++) {
		u64 off = PCACHE_KEY_TAIL_OFF + i * PCACHE_TAIL_STRIDE;

		tail[i] = (const void *)(pmem_model_view() + off);
		if (!pmem_model_readable(NULL, off, sizeof(*tail[i])))
			return false;
	}
	if (params()->data_crc || !judge_medium(pmem_model_view(), CHECKER_CRASHED, &c))
		return false;
	at.seg = le32_to_cpu(tail[0]->cache_seg_id);
	at.off = le32_to_cpu(tail[0]->seg_off);
	for (ks = kset_at(&at); le64_to_cpu(ks->flags) & PCACHE_KSET_LAST; ks = kset_at(&at))
		at = (struct position) { .seg = le32_to_cpu(ks->count) };
	for (u32 i = 0; i < le32_to_cpu(ks->count); i++)
		if (key_is_bad(&((const struct pcache_media_key *)(ks + 1))[i]))
			return false;
	return true;
}

static void end_write(struct op *op, int error)
{
	if (error)
		check_write_error(op, error);
	if (op->sectors)
		oracle_write_end(op->write, error, op->flags & REQ_FUA);
	if (op->again)
		oracle_write_end(op->again, error, op->flags & REQ_FUA);
	if (!error && op->flags & REQ_PREFLUSH)
		flush_ended(op->begin);
	else if (!error && op->flags & REQ_FUA && run.through)
		oracle_all_on_disk();
	if (run.cut_at_ack && op_is_flush(op->flags)) {
		run.cut_at_ack = false;
		sim_set_cut(1 + below(below(2) ? 6 : 200));
	}
}

static void end_read(struct op *op, int error)
{
	const char *wrong;

	if (error && !media_errors() && !disk_errors(op->disk_failed))
		sim_fail("a read ended with %d", error);
	if (error || op->scribbled)
		return;
	wrong = oracle_read(op->begin, op->buf, op->sector, op->sectors);
	if (wrong)
		sim_fail("%s", wrong);
}

/* The buffer is its owner's again: in each sector who still reads it finds rubbish. */
static void spoil_buffer(struct op *op)
{
	op->spoilt = op->sectors;
	for (u32 i = 0; i < op->spoilt; i++)
		memset(op->buf + (i << SECTOR_SHIFT), RUBBISH, RUBBISH_BYTES);
}

/* Nobody has written there since. */
static void check_buffer(const struct op *op)
{
	static const u8 rubbish[RUBBISH_BYTES] = { [0 ... RUBBISH_BYTES - 1] = RUBBISH };

	for (u32 i = 0; i < op->spoilt; i++)
		if (memcmp(op->buf + (i << SECTOR_SHIFT), rubbish, RUBBISH_BYTES))
			sim_fail("the buffer of a request was written to after its end");
}

static void op_done(void *data, int error)
{
	struct op *op = data;
	struct submitter *sub = op->submitter;

	if (!op->busy)
		sim_fail("a request has ended twice");
	trace_op(op, "ended", error);
	if (op_is_write(op->flags))
		end_write(op, error);
	else
		end_read(op, error);
	spoil_buffer(op);
	run.s->ops++;
	op->busy = false;
	sub->busy--;
	wake_up(&sub->wait);
}

static void draw_range(struct op *op)
{
	const struct sim_params *p = params();
	u32 n = 1 + below(p->max_sectors), at;

	n = below(3) ? n : min_t(u32, 1 + below(8), p->max_sectors);
	n = ALIGN(n, p->align);
	at = below(p->sectors - n + 1);
	if (chance(p->hot))
		at %= max(p->sectors / 8, 1U);
	at -= at % p->align;
	if (at + n > p->sectors)
		at = p->sectors - n;
	op->sector = session_first_sector(p) + at;
	op->sectors = n;
}

static void draw_op(struct op *op)
{
	const struct sim_params *p = params();

	op->scribbled = false;
	op->write = 0;
	op->again = 0;
	if (chance(p->flush)) {
		op->flags = REQ_OP_WRITE | REQ_PREFLUSH;
		op->sector = 0;
		op->sectors = 0;
		return;
	}
	draw_range(op);
	if (!chance(p->writes)) {
		op->flags = REQ_OP_READ;
		op->scribbled = chance(p->scribble);
		return;
	}
	op->flags = REQ_OP_WRITE | (chance(p->fua) ? REQ_FUA : 0) |
		    (chance(p->preflush) ? REQ_PREFLUSH : 0);
	if (chance(p->discards))
		op->flags = REQ_OP_DISCARD;
	else if (chance(p->zeroes))
		op->flags = REQ_OP_WRITE_ZEROES;
}

/*
 * What changes the buffers of writes under way, as an application may with O_DIRECT, or
 * a file system without stable pages. Sectors are copied at once here, so none is mixed.
 * Likewise the buffers of reads, where nobody looks at what comes of it.
 */

static void let_change(struct op *op)
{
	if (op->write)
		op->again = oracle_write_again(op->write);
	op->changes = 1 + below(40);
	wake_up(&run.changer.wait);
}

static struct op *op_to_change(void)
{
	for (u32 i = 0; i < params()->submitters; i++)
		for (u32 k = 0; k < params()->depth; k++) {
			struct op *op = &run.submitter[i].op[k];

			if (op->busy && (op->again || op->scribbled) && op->changes)
				return op;
		}
	return NULL;
}

static void change_one(struct op *op)
{
	u32 at = below(op->sectors);

	op->changes--;
	if (op->scribbled) {
		op->buf[at << SECTOR_SHIFT] ^= 1 + below(255);
		return;
	}
	oracle_fill(op->buf + (at << SECTOR_SHIFT), below(3) ? op->again : op->write,
		    op->sector + at, 1);
}

static void change_task(void *arg)
{
	struct op *op;

	while (!run.changer.stop) {
		wait_event(run.changer.wait, run.changer.stop || op_to_change());
		op = op_to_change();
		if (op)
			change_one(op);
		cond_resched();
	}
}

static bool is_zeroes(const struct op *op)
{
	return (op->flags & REQ_OP_MASK) == REQ_OP_WRITE_ZEROES;
}

static void submit_op(struct submitter *sub, struct op *op)
{
	op->submitter = sub;
	op->busy = true;
	sub->busy++;
	op->begin = oracle_now();
	op->begun = jiffies;
	op->begun_at = sim_points();
	op->idle_ns = 0;
	op->disk_failed = disk_model_failed();
	check_buffer(op);
	if (op_is_discard(op->flags)) {
		op->write = oracle_discard_begin(op->sector, op->sectors);
	} else if (is_zeroes(op)) {
		op->write = oracle_zeroes_begin(op->sector, op->sectors);
	} else if (op_is_write(op->flags) && op->sectors) {
		op->write = oracle_write_begin(op->sector, op->sectors);
		oracle_fill(op->buf, op->write, op->sector, op->sectors);
		if (chance(params()->rewrites))
			let_change(op);
	}
	for (u32 i = 0; !op_is_write(op->flags) && i < op->sectors; i++)
		memset(op->buf + (i << SECTOR_SHIFT), 0xee, 64);
	if (op->scribbled)
		let_change(op);
	trace_op(op, "begun", 0);
	dm_host_rw_async(dm_host_bdev(run.md), op->flags, op->sector,
			 op_is_discard(op->flags) || is_zeroes(op) ? NULL : op->buf, op->sectors,
			 op_done, op);
}

static void issue(struct submitter *sub, struct op *op)
{
	draw_op(op);
	/* The power goes some time after so many requests. */
	if (++run.issued == params()->ops && !run.s->clean) {
		run.cut_at_ack = params()->flush && below(2);
		sim_set_cut(1 + below(run.cut_at_ack ? 6000 : 2500));
	}
	submit_op(sub, op);
	for (u32 i = 0; op->scribbled && op->busy && i < 20; i++) {
		op->buf[below(op->sectors << SECTOR_SHIFT)] ^= 1 + below(255);
		cond_resched();
	}
}

static struct op *idle_op(struct submitter *sub)
{
	for (u32 i = 0; i < params()->depth; i++)
		if (!sub->op[i].busy)
			return &sub->op[i];
	return NULL;
}

static void submit_task(void *arg)
{
	struct submitter *sub = arg;

	for (; sub->left; sub->left--) {
		wait_event(sub->wait, idle_op(sub));
		issue(sub, idle_op(sub));
	}
	wait_event(sub->wait, !sub->busy);
}

static void start_submitters(void)
{
	const struct sim_params *p = params();

	run.changer.stop = false;
	init_waitqueue_head(&run.changer.wait);
	if (p->rewrites)
		run.changer.task = shim_spawn("change", change_task, NULL);

	for (u32 i = 0; i < p->submitters; i++) {
		struct submitter *sub = &run.submitter[i];

		memset(sub, 0, sizeof(*sub));
		init_waitqueue_head(&sub->wait);
		for (u32 k = 0; k < MAX_DEPTH; k++)
			sub->op[k].buf = op_buffers[i][k];
		sub->left = p->pause_ops / p->submitters + 1;
		sub->task = shim_spawn("submit", submit_task, sub);
	}
}

static void join_submitters(void)
{
	for (u32 i = 0; i < params()->submitters; i++)
		shim_join(run.submitter[i].task);
	if (!params()->rewrites)
		return;
	run.changer.stop = true;
	wake_up(&run.changer.wait);
	shim_join(run.changer.task);
}

/*
 * A wake-up that is lost must not be made good by a timer. All are idle, the disk has
 * nothing to do: what request is under way then, waits for the timer that is next. That
 * is right after an error only, which is tried again later: of the disk, of memory.
 */
static void check_stalls(u64 from_ns, u64 to_ns)
{
	if (disk_model_failed() != run.failed) {
		run.failed = disk_model_failed();
		run.retried_ns = from_ns + RETRIED_NS;
	}
	if (disk_model_busy() || from_ns < run.retried_ns || params()->alloc_fail)
		return;
	for (u32 i = 0; i < MAX_SUBMITTERS * MAX_DEPTH; i++) {
		struct op *op = &run.submitter[i / MAX_DEPTH].op[i % MAX_DEPTH];

		if (!op->busy)
			continue;
		op->idle_ns += to_ns - from_ns;
		if (op->idle_ns > STALL_NS)
			sim_fail("a %s of %u sectors at %llu waits for a timer",
				 op_name(op),
				 op->sectors, (unsigned long long)op->sector);
	}
}

/* What else may happen */

/* Returns whether it did what it says. */
static bool send(const char *text)
{
	u64 failed = disk_model_failed(), begin = oracle_now();
	char result[2048];
	int r = dm_host_message(run.md, text, result, sizeof(result));

	if (run.s->trace)
		fprintf(stderr, "[%8llu] message %s: %d\n", (unsigned long long)sim_points(),
			text, r);
	if (r < 0 && !media_errors() && !(r == -ENOMEM && params()->alloc_fail) &&
	    !disk_errors(failed))
		sim_fail("message %s: %d", text, r);
	if (r == 0 && !strcmp(text, "flush") && !media_errors() && !params()->rot)
		oracle_on_disk(begin);
	if (r == 0) {
		run.cleaned |= run.cleaner && !strcmp(text, "flush");
		run.cleaner |= !strcmp(text, "cleaner");
		run.through |= run.cleaned;
		if (run.through)
			oracle_all_on_disk();
	}
	return r >= 0;
}

static void send_gc_percent(u32 percent)
{
	char text[40];

	snprintf(text, sizeof(text), "gc_percent %u", percent);
	begin_gc_percent(percent);
	if (send(text))
		end_gc_percent(percent);
}

static void send_eviction(void)
{
	char text[40];

	if (below(2))
		snprintf(text, sizeof(text), "sequential_cutoff_kb %llu", below(10));
	else
		snprintf(text, sizeof(text), "eviction %s", below(4) ? "clock" : "fifo");
	send(text);
}

static void send_some(void)
{
	/* What waits for the disk needs one that works. */
	set_disk_errors(params()->read_errors, 0, 0);
	switch (below(run.gone ? 5 : 8)) {
	case 0:
		send_gc_percent(below(91));
		break;
	case 1:
		send("clear_stats");
		break;
	case 2:
		send("stats");
		break;
	case 3:
		check_status(&(const bool){ true });
		break;
	case 4:
		send_eviction();
		break;
	case 5:
		send("flush_on_suspend");
		break;
	case 6:
		run.cleaner_asked = true;
		send("cleaner");
		break;
	default:
		send("flush");
	}
}

struct flush_message {
	struct task_struct *task;
	int r;
};

static void flush_task(void *arg)
{
	struct flush_message *m = arg;
	char result[100];

	m->r = dm_host_message(run.md, "flush", result, sizeof(result));
}

static void start_flush(struct flush_message *m)
{
	m->task = shim_spawn("flush", flush_task, m);
}

/* @may_be, @or: errors that are right. */
static void join_flush(struct flush_message *m, int may_be, int or)
{
	shim_join(m->task);
	if (m->r && m->r != may_be && m->r != or && !media_errors() &&
	    !(m->r == -ENOMEM && params()->alloc_fail))
		sim_fail("message flush from another task: %d", m->r);
}

/* While the disk is gone nothing else ends it. */
static void interrupt_flush(void)
{
	struct flush_message m;

	start_flush(&m);
	msleep(1 + below(3000));
	shim_signal(m.task, true);
	join_flush(&m, -EINTR, 0);
}

/* Under load; to clean first, the disk has to work. */
static void change_mode(void)
{
	u32 mode = run.gone ? 3 * below(2) : below(4);
	bool cleans = mode == 1 || mode == 2;
	char text[40];

	if (cleans)
		set_disk_errors(params()->read_errors, 0, 0);
	run.through &= run.cleaned || cleans;
	snprintf(text, sizeof(text), "cache_mode %s", mode_names[mode]);
	send(text);
	note_mode();
}

/* Options of which each may be another one than before. */
static void line_for_reload(char *line, size_t bytes)
{
	char options[300], *words, *rest;
	unsigned long n;

	table_line(line, bytes, false, true);
	if (!params()->modes || strstr(line, "cache_mode"))
		return;
	words = strstr(line, " vda ") + strlen(" vda ");
	n = strtoul(words, &rest, 10);
	snprintf(options, sizeof(options), "%lu%s cache_mode %s", n + 2, rest,
		 mode_names[below(4)]);
	snprintf(words, bytes - (words - line), "%s", options);
}

static bool line_is_through(const char *line)
{
	return strstr(line, "cache_mode writethrough") || strstr(line, "cache_mode writearound");
}

/* A table is loaded under load, and takes the cache over, or is dropped again. */
static void reload(void)
{
	struct kept_value before = run.s->gc_percent ? *run.s->gc_percent : (struct kept_value){ };
	char line[300], loaded[300], live[300], error[256] = "";
	int r;

	line_for_reload(line, sizeof(line));
	if (run.s->trace)
		fprintf(stderr, "[%8llu] load %s\n", (unsigned long long)sim_points(), line);
	sim_set_alloc_failures(0);
	table_of(live, sizeof(live));
	r = dm_host_load(run.md, line, false, error, sizeof(error));
	sim_set_alloc_failures(params()->alloc_fail);
	if (r)
		sim_fail("load of a line for the live cache: %d, %s", r, error);
	if (dm_host_status_loaded(run.md, STATUSTYPE_TABLE, loaded, sizeof(loaded)))
		sim_fail("the table does not fit");
	if (!below(4)) {
		dm_host_clear(run.md);
		table_of(loaded, sizeof(loaded));
		if (strcmp(live, loaded))
			sim_fail("the table was %s, is %s after a load", live, loaded);
		if (run.s->gc_percent)
			*run.s->gc_percent = before;
		return;
	}
	if (strstr(line, "cache_mode") && !line_is_through(line))
		run.through = run.cleaned;
	if (below(2))
		suspend(below(2));
	r = dm_host_resume(run.md);
	if (r)
		sim_fail("resume of another table: %d", r);
	table_of(live, sizeof(live));
	if (strcmp(live, loaded))
		sim_fail("the table was loaded as %s, is %s", loaded, live);
	check_status(&(const bool){ true });
	note_mode();
}

static u64 most_bytes(void)
{
	const struct sim_params *p = params();

	return ALIGN(PCACHE_SEGS_OFF + (u64)(p->segs + p->grow) * PCACHE_SEG_BYTES, PAGE_SIZE);
}

static void check_segs(u32 expected)
{
	u32 segs;
	char line[600];

	dm_host_status(run.md, STATUSTYPE_INFO, 0, line, sizeof(line));
	if (sscanf(line, "%*u %*u pcache %*s %u", &segs) != 1 || segs != expected)
		sim_fail("after a resize to %u segments: %s", expected, line);
}

/* The cache device grows, maybe, and the cache is told. */
static void resize(void)
{
	u64 now = pmem_model_bytes(), more = 0;

	if (now < most_bytes() && below(4))
		more = 1 + below((most_bytes() - now) / PCACHE_SEG_BYTES);
	if (more)
		pmem_model_grow_used(now + more * PCACHE_SEG_BYTES);
	if (send("resize"))
		check_segs((pmem_model_bytes() - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES);
}

static void suspend_and_resume(void)
{
	struct flush_message m = { };
	char result[100];
	int r;

	/* It may come while all is being stopped, or too late. */
	if (below(2)) {
		set_disk_errors(params()->read_errors, 0, 0);
		start_flush(&m);
	}
	suspend(below(2));
	if (below(2) && dm_host_message(run.md, below(2) ? "flush" : "gc_percent 50", result,
					sizeof(result)) != -EINVAL)
		sim_fail("a message was taken while suspended");
	/* Nobody has to resume for its end. */
	if (m.task && below(2)) {
		join_flush(&m, -EINVAL, -EIO);
		m.task = NULL;
	}
	r = dm_host_resume(run.md);
	if (r)
		sim_fail("resume: %d", r);
	if (m.task)
		join_flush(&m, -EINVAL, -EIO);
}

/* It goes, or some of it can't be read or written any more, for a while. */
static void break_disk(void)
{
	const struct sim_params *p = params();

	run.gone = true;
	note_disk(true);
	if (below(2))
		disk_model_set_gone(true);
	else
		disk_model_set_bad(session_first_sector(p) + below(p->sectors),
				   1 + below(p->sectors / 4));
}

static void heal_disk(void)
{
	run.gone = false;
	disk_model_set_gone(false);
	disk_model_set_bad(0, 0);
	note_disk(false);
}

/* Of the status line's words; doc/dm-pcache.rst has them. */
#define SECOND_CHANCES_WORD	30

/* What has had one since this was last asked; "clear_stats" may have come between. */
static void note_second_turns(void)
{
	char text[1000], *word = text;
	u64 turns;

	dm_host_status(run.md, STATUSTYPE_INFO, 0, text, sizeof(text));
	/* "0 LENGTH pcache " comes first. */
	for (u32 i = 0; i < 2 + SECOND_CHANCES_WORD; i++)
		word = strchr(word, ' ') + 1;
	turns = strtoull(word, NULL, 10);
	run.s->second_turns += turns - (turns < run.second_turns ? 0 : run.second_turns);
	run.second_turns = turns;
}

static bool work_once(void)
{
	const struct sim_params *p = params();

	start_submitters();
	if (chance(p->messages))
		send_some();
	if (chance(p->messages) && run.gone)
		interrupt_flush();
	if (chance(p->drops))
		send("drop");
	if (chance(p->modes))
		change_mode();
	if (chance(p->suspends) && !run.gone)
		suspend_and_resume();
	if (chance(p->reloads) && !run.gone)
		reload();
	if (chance(p->resizes))
		resize();
	/*
	 * Errors are for a while: an epoch whose every write may fail would never get
	 * through as a whole.
	 */
	if (run.gone || p->write_errors || p->flush_errors) {
		msleep(1 + below(20000));
		note_mode();
		heal_disk();
		set_disk_errors(p->read_errors, 0, 0);
	}
	join_submitters();
	note_mode();
	note_second_turns();
	set_disk_errors(p->read_errors, p->write_errors, p->flush_errors);
	if (chance(p->gone))
		break_disk();
	/* Also while it is gone: what is dirty stays in the cache. */
	if (chance(p->detaches)) {
		if (!reattach())
			return false;
		note_mode();
	}
	return true;
}

/* What has been looked at and not settled: the oracle does not know it. */
static const char *disk_is_as_seen(void)
{
	u64 first = session_first_sector(params());

	for (u32 i = 0; run.looked && i < params()->sectors; i++)
		if (run.known[i] && !oracle_is_undefined(first + i) &&
		    memcmp(whole + (i << SECTOR_SHIFT), disk_model_sector(first + i), SECTOR_SIZE))
			return "the backing device has not what was read";
	return NULL;
}

/* What a quiet cache with a good disk must come to. */
static void check_written_back(void)
{
	const char *error;
	char result[100];
	int r;

	set_disk_errors(0, 0, 0);
	r = dm_host_message(run.md, "flush", result, sizeof(result));
	if (r && !media_errors())
		sim_fail("flush at the end: %d", r);
	if (r)
		return;
	error = run.s->only_look ? disk_is_as_seen() : oracle_disk_is_newest(disk_model_sector);
	if (error && !media_errors())
		sim_fail("after a flush, %s", error);
}

static void check_nothing_left(void)
{
	if (shim_allocations())
		sim_fail("%ld objects are left in memory", shim_allocations());
	if (shim_scheduled())
		sim_fail("%u timers or works are left", shim_scheduled());
}

/*
 * Scripts: one operation a letter, each waited for. The backing device takes no
 * writes but in the operation that writes back.
 */

static void script_op(blk_opf_t flags, u32 at, u32 sectors)
{
	struct submitter *sub = &run.submitter[0];
	struct op *op = &sub->op[0];

	memset(sub, 0, sizeof(*sub));
	init_waitqueue_head(&sub->wait);
	*op = (struct op) {
		.buf = op_buffers[0][0], .flags = flags, .sectors = sectors,
		.sector = sectors ? session_first_sector(params()) + at : 0,
	};
	submit_op(sub, op);
	if (wait_event_timeout(sub->wait, !sub->busy, 2 * HZ))
		return;
	/* There is no room, and none without write-back. */
	set_disk_errors(0, 0, 0);
	wait_event(sub->wait, !sub->busy);
	set_disk_errors(0, 1024, 1024);
}

static void script_write_back(void)
{
	set_disk_errors(0, 0, 0);
	send("flush");
	set_disk_errors(0, 1024, 1024);
}

static void script_reclaim(void)
{
	send_gc_percent(0);
	msleep(1);
	send_gc_percent(70);
}

static bool script_step(char letter)
{
	u32 middle = params()->sectors / 2;

	switch (letter) {
	case 'w':
		script_op(REQ_OP_WRITE, middle - 4, 1);
		break;
	case 'W':
		script_op(REQ_OP_WRITE, middle - 8, 8);
		break;
	case 's':	/* across the end of a stretch, and often of a segment */
		script_op(REQ_OP_WRITE, middle - 4, 8);
		break;
	case 'F':
		script_op(REQ_OP_WRITE | REQ_FUA, middle - 6, 2);
		break;
	case 'f':
		script_op(REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
		break;
	case 'r':	/* some of it is cached, some is not */
		script_op(REQ_OP_READ, middle - 12, 8);
		break;
	case 'b':
		script_write_back();
		break;
	case 'c':
		script_reclaim();
		break;
	case 'd':
		detach();
		return attach();
	case 'D':	/* across the end of a stretch; some of it is cached, some is not */
		script_op(REQ_OP_DISCARD, middle - 6, 12);
		break;
	case 'x':	/* what is clean is formatted anew */
		script_write_back();
		detach();
		if (run.s->before_format)
			run.s->before_format();
		return attach_with(true);
	case 'g':	/* the device grows, and is used */
		pmem_model_grow_used(pmem_model_bytes() + PCACHE_SEG_BYTES);
		send("resize");
		break;
	case 't':	/* what nobody asked for is committed */
		msleep(1000);
		break;
	case 'n':	/* for states: 8 sectors somewhere else each time */
		script_op(REQ_OP_WRITE, run.next_place, 8);
		run.next_place = (run.next_place + 8) % params()->sectors;
		break;
	default:
		sim_fail("a script has no operation %c", letter);
	}
	return true;
}

u32 session_script_at(void)
{
	return run.script_at;
}

/* False: an attach was refused. */
static bool run_script(void)
{
	const char *script = run.s->script;

	set_disk_errors(0, 1024, 1024);
	for (; script[run.script_at]; run.script_at++)
		if (!script_step(script[run.script_at]))
			return false;
	if (!run.s->clean)
		sim_cut();
	return true;
}

/* All is quiet: what is cached then is dirty. */
static void check_dropped(void)
{
	unsigned long long dirty, cached;
	char line[600];

	if (!send("drop"))
		return;
	dm_host_status(run.md, STATUSTYPE_INFO, 0, line, sizeof(line));
	if (sscanf(line, "0 %*u pcache %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
		   &dirty, &cached) != 2 || cached != dirty)
		sim_fail("after a drop: %s", line);
	for (u32 i = 0; shim_scheduled() && i < 5000; i++)
		msleep(1000);
	check_medium(pmem_model_view(), CHECKER_RUNNING, "after a drop");
}

/*
 * Some time after the last request nothing is scheduled any more, and the medium is as
 * the rules for a running cache have it.
 */
static void check_quiet(void)
{
	const struct sim_params *p = params();
	const char *error;

	set_disk_errors(0, 0, 0);
	/* Without a FLUSH all is committed as well. */
	if (below(2) && dm_host_flush(dm_host_bdev(run.md)))
		sim_fail("a flush fails when all is quiet");
	/* Some time: the clock may jump before the others have come far. */
	for (u32 i = 0; shim_scheduled() && i < 5000; i++)
		msleep(1000);
	if (shim_scheduled())
		sim_fail("%u timers or works are scheduled when all is quiet", shim_scheduled());
	check_medium(pmem_model_view(), CHECKER_RUNNING, "when all is quiet");
	check_status(&(const bool){ false });
	if (medium.dirty && !p->rot)
		sim_fail("when all is quiet, %u sectors are dirty", medium.dirty);
	error = run.s->only_look ? NULL : oracle_disk_is_newest(as_logged);
	if (error)
		sim_fail("when all is quiet, by the log: %s", error);
	if (chance(p->drops))
		check_dropped();
	set_disk_errors(p->read_errors, p->write_errors, p->flush_errors);
}

static void finish(void)
{
	sim_set_alloc_failures(0);
	sim_end_starving();
	heal_disk();
	if (!run.s->script && !media_errors() && below(2))
		check_quiet();
	if (!run.s->script && below(2))
		check_written_back();
	detach();
}

static void work(void)
{
	bool attached = attach();

	if (attached && run.s->crashed)
		look();
	if (attached)
		note_mode();
	if (run.s->only_look && !run.s->read_only && below(4))
		sim_cut();
	if (attached && run.s->script)
		attached = run_script();
	while (attached && !run.s->script && !run.s->only_look &&
	       (!run.s->clean || run.issued < params()->ops))
		attached = work_once();
	if (attached && run.s->read_only)
		detach();
	else if (attached)
		finish();
}

static void session_task(void *arg)
{
	struct block_device *pmem = pmem_model_bdev(), *disk = disk_model_bdev();
	u64 stores = pmem_model_counts()->stores;

	if (shim_module_init())
		sim_fail("the module cannot be loaded");
	heal_disk();
	note_disk(params()->write_errors || params()->flush_errors);
	disk_model_set_discarded(check_discarded);
	disk_model_start();
	dm_host_add_bdev(pmem);
	dm_host_add_bdev(disk);
	work();
	if (run.s->read_only && pmem_model_counts()->stores != stores)
		sim_fail("a read-only table stores to the cache device");
	sim_set_alloc_failures(0);
	dm_host_remove_bdev(pmem);
	dm_host_remove_bdev(disk);
	disk_model_stop();
	shim_module_exit();
	shim_stop();
	check_nothing_left();
}

/* Running it */

static void log_line(void *data, int level, const char *text)
{
	size_t n = strlen(text);

	if (run.s->trace)
		fprintf(stderr, "[%8llu] %s", (unsigned long long)sim_points(), text);
	if (strstr(text, ": failed: "))
		run.cache_failed = true;
	run.worn |= !!strstr(text, ": nothing new is left to the cache device");
	if (strstr(text, ": no room for writes, and nothing"))
		run.first_could_go = first_kset_could_go();
	if (level == 0 && !run.error[0])
		snprintf(run.error, sizeof(run.error), "%s", text);
	if (run.log_bytes + n + 1 > sizeof(run.log)) {
		memmove(run.log, run.log + sizeof(run.log) / 2, sizeof(run.log) / 2);
		run.log_bytes -= min(run.log_bytes, sizeof(run.log) / 2);
	}
	if (run.log_bytes + n + 1 <= sizeof(run.log)) {
		memcpy(run.log + run.log_bytes, text, n + 1);
		run.log_bytes += n;
	}
}

const char *session_error(void)
{
	return run.error;
}

const char *session_log(void)
{
	return run.log;
}

static void first_task(void *arg)
{
	shim_set_log(log_line, NULL);
	session_task(arg);
}

bool session_run(struct session *s, const struct sim_config *config, enum sim_end *end)
{
	memset(&run, 0, offsetof(typeof(run), error));
	run.s = s;
	run.error[0] = '\0';
	run.log[0] = '\0';
	run.log_bytes = 0;
	s->refused = false;
	s->ops = 0;
	s->second_turns = 0;
	sim_seed(&run.random, s->seed);
	run.failed = disk_model_failed();
	sim_set_idle(s->script ? NULL : check_stalls);
	*end = sim_run(config, first_task, NULL);
	sim_set_idle(NULL);
	if (*end != SIM_FAILED && shim_warnings()) {
		snprintf(run.error, sizeof(run.error), "%u warnings", shim_warnings());
		return false;
	}
	if (*end == SIM_FAILED && !run.error[0])
		snprintf(run.error, sizeof(run.error), "a rule of the kernel was broken");
	return *end != SIM_FAILED;
}
