// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzer of media. An input describes one (edit.h). It is attached read-only and
 * read-write, all of it is read, some is written, and it is detached, or the power goes.
 *
 * Either it is refused with a message and nothing is changed, or the cache works: it
 * reads what the checker's walk finds on the medium, it keeps what is written to it,
 * and what it leaves can be attached again and gives the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/crc32c.h>
#include <linux/delay.h>
#include <linux/kernel.h>

#include "checker.h"
#include "disk-model.h"
#include "edit.h"
#include "format.h"
#include "pmem-model.h"
#include "world.h"

#define DISK_SECTORS	(SAMPLE_FIRST + SAMPLE_SECTORS)
#define WRITE_SECTORS	8
#define MAX_WRITES	12
/* Writes that must wait for room wait no longer. */
#define PATIENCE_MS	20000

/* bits of edit_head.work */
#define WORK_WRITES	0x0f	/* how many */
#define WORK_FLUSH	0x10	/* all is written back */
#define WORK_RECLAIM	0x20	/* all that is clean leaves the cache */
#define WORK_SUSPEND	0x40	/* and resume */
#define WORK_NO_DISK	0x80	/* the backing device takes no writes */

/* What a world has seen. */
struct look {
	bool attached;
	bool needs_check, failed;
	bool known[SAMPLE_SECTORS];
	u8 data[SAMPLE_SECTORS << SECTOR_SHIFT] __aligned(4096);
};

static struct {
	struct edit_result in;
	struct checker_place places[SAMPLE_SECTORS];
	struct checker checker;
	bool sound;			/* by the checker */
	u8 disk[SAMPLE_SECTORS << SECTOR_SHIFT] __aligned(64);
	bool clean[SAMPLE_SECTORS];	/* cached and clean, by the checker; or it cannot tell */
	bool read_only;
	bool only_look;
	struct look *look;
	struct look first, after, second;
	struct mapped_device *md;
	bool stuck;
	char error[FUZZ_ERROR];
} fz;

static struct write {
	u32 at;
	bool busy;
	int error;
	u8 data[WRITE_SECTORS << SECTOR_SHIFT] __aligned(4096);
} writes[MAX_WRITES];

/*
 * In a world
 */

static const char *options(void)
{
	static const char *const lines[] = {
		"", "", "", "2 writeback_order fast", "2 gc_percent 0", "2 format force",
		"2 format never", "4 gc_percent 90 writeback_order fast",
		"2 cache_mode writethrough", "2 cache_mode writearound", "2 cache_mode writeonly",
	};

	return lines[fz.in.head.options % ARRAY_SIZE(lines)];
}

/* All at once; sector by sector if that fails. */
static void read_all(struct look *look)
{
	bool all = !fuzz_read(fz.md, SAMPLE_FIRST, look->data, SAMPLE_SECTORS);

	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		look->known[i] = all || !fuzz_read(fz.md, SAMPLE_FIRST + i,
						   look->data + (i << SECTOR_SHIFT), 1);
}

static void read_elsewhere(void)
{
	static u8 buf[256 << SECTOR_SHIFT] __aligned(4096);
	u64 at = fz.in.head.place * 32;

	fuzz_read(fz.md, at, buf, min(DISK_SECTORS - at, 256ULL));
}

static void look_at_status(struct look *look)
{
	char status[2048];

	fuzz_status(fz.md, STATUSTYPE_TABLE, status, sizeof(status));
	fuzz_status(fz.md, STATUSTYPE_INFO, status, sizeof(status));
	look->needs_check = strstr(status, " needs_check ");
	look->failed = strstr(status, " fail ");
}

static void send(const char *text)
{
	char result[2048];

	dm_host_message(fz.md, text, result, sizeof(result));
}

static void write_done(void *data, int error)
{
	struct write *w = data;

	w->error = error;
	w->busy = false;
}

static void fill(struct write *w, u32 nr)
{
	u64 *word = (u64 *)w->data;

	for (u32 i = 0; i < sizeof(w->data) / 8; i++)
		word[i] = (u64)fz.in.head.seed << 48 | (u64)(nr + 1) << 40 | i;
}

/* Is there anything that keeps dirty data from leaving the cache? */
static bool may_be_stuck(void)
{
	return fz.in.head.work & WORK_NO_DISK || fuzz_bad_data();
}

/* Until all have ended; where no segment may ever be free again the power goes. */
static void wait_for_writes(u32 nr)
{
	for (u32 ms = 0, i = 0; i < nr; ) {
		if (!writes[i].busy) {
			i++;
		} else if (ms < PATIENCE_MS) {
			msleep(20);
			ms += 20;
		} else if (may_be_stuck()) {
			fz.stuck = true;
			sim_cut();
		} else {
			sim_fail("writes wait for room, and nothing keeps it");
		}
	}
}

/* Their ranges do not overlap, so that it is known what must be read. */
static void write_some(u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		struct write *w = &writes[i];

		fill(w, i);
		w->at = (i * 11 + fz.in.head.seed) % (SAMPLE_SECTORS / WRITE_SECTORS) *
			WRITE_SECTORS;
		w->busy = true;
		dm_host_rw_async(dm_host_bdev(fz.md), REQ_OP_WRITE | (i % 3 ? 0 : REQ_FUA),
				 SAMPLE_FIRST + w->at, w->data, WRITE_SECTORS, write_done, w);
	}
	wait_for_writes(nr);
}

static void check_written(u32 nr, struct look *look)
{
	for (u32 i = 0; i < nr; i++) {
		const struct write *w = &writes[i];

		for (u32 k = 0; !w->error && k < WRITE_SECTORS; k++) {
			u32 off = (w->at + k) << SECTOR_SHIFT;

			if (!look->known[w->at + k])
				sim_fail("what was just written cannot be read");
			if (memcmp(look->data + off, w->data + (k << SECTOR_SHIFT), SECTOR_SIZE))
				sim_fail("sector %llu is not as it was just written",
					 SAMPLE_FIRST + w->at + k);
		}
	}
}

static void suspend_and_resume(void)
{
	int r = dm_host_suspend(fz.md, fz.in.head.seed & 1);

	if (!r)
		r = dm_host_resume(fz.md);
	if (r)
		sim_fail("suspend and resume: %d", r);
}

static void work(void)
{
	u32 what = fz.in.head.work, nr = min_t(u32, what & WORK_WRITES, MAX_WRITES);

	disk_model_set_errors(0, what & WORK_NO_DISK ? 1024 : 0, 0);
	write_some(nr);
	if (what & WORK_SUSPEND)
		suspend_and_resume();
	if (what & WORK_RECLAIM)
		send("gc_percent 0");
	if ((what & WORK_FLUSH) && !(what & WORK_NO_DISK))
		send("flush");
	dm_host_flush(dm_host_bdev(fz.md));
	look_at_status(&fz.after);
	read_all(&fz.after);
	if (!fz.after.failed)
		check_written(nr, &fz.after);
}

static void visit(void *arg)
{
	char line[FUZZ_TABLE];

	sample_table(line, sizeof(line), fz.only_look ? "" : options());
	fz.md = fuzz_attach(line, fz.read_only, fz.error);
	fz.look->attached = fz.md;
	if (!fz.md)
		return;
	look_at_status(fz.look);
	read_all(fz.look);
	read_elsewhere();
	if (!fz.read_only && !fz.only_look) {
		work();
		if (fz.in.head.how & EDIT_CUT)
			sim_cut();
	}
	fuzz_detach(fz.md);
}

/*
 * Outside
 */

static enum sim_end run(bool read_only, bool only_look, struct look *look)
{
	static const u32 means[] = { 0, 3, 10, 40, 200, 0, 0, 0 };
	const struct sim_config config = {
		.seed = fz.in.head.seed, .cpus = 1 + (fz.in.head.tasks >> 4 & 3),
		.switch_mean = means[fz.in.head.tasks & 7], .jump_of_1024 = 20,
		.max_points = FUZZ_POINTS,
	};
	enum sim_end end;

	fz.read_only = read_only;
	fz.only_look = only_look;
	fz.look = look;
	look->attached = false;
	fz.stuck = false;
	if (!fuzz_world(&config, visit, NULL, &end))
		fuzz_give_up();
	return end;
}

static void check_untouched(const char *what)
{
	if (memcmp(pmem_model_view(), fz.in.media, fz.in.bytes))
		fuzz_wrong("%s: the medium is changed\n%s", what, fuzz_log());
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		if (memcmp(disk_model_sector(SAMPLE_FIRST + i), fz.disk + (i << SECTOR_SHIFT),
			   SECTOR_SIZE))
			fuzz_wrong("%s: the backing device is changed\n%s", what, fuzz_log());
}

static void judge(void)
{
	const struct checker_image image = {
		.media = pmem_model_durable(), .bytes = fz.in.bytes,
		.backing_sectors = DISK_SECTORS,
		.readable = pmem_model_nr_poisoned() ? pmem_model_readable : NULL,
	};

	fz.checker = (struct checker) {
		.first_sector = SAMPLE_FIRST, .nr_sectors = SAMPLE_SECTORS, .places = fz.places,
	};
	fz.sound = checker_run(&image, CHECKER_CRASHED, &fz.checker);
}

/* What was read against what the checker found. */
static void compare(const struct look *look, const char *what)
{
	bool cache = fz.checker.formatted && !fz.checker.unfinished;

	for (u32 i = 0; i < SAMPLE_SECTORS; i++) {
		const struct checker_place *p = &fz.places[i];
		u32 off = i << SECTOR_SHIFT;
		bool lost = cache && p->bad && p->dirty;
		const u8 *is = cache && p->off && !p->bad ? fz.in.media + p->off : fz.disk + off;

		if (lost == look->known[i])
			fuzz_wrong("%s, sector %llu can%s be read, the checker differs\n%s", what,
				   SAMPLE_FIRST + i, lost ? "" : "not", fuzz_log());
		if (fz.clean[i] && !fz.read_only)
			continue;
		if (!lost && memcmp(is, look->data + off, SECTOR_SIZE))
			fuzz_wrong("%s, sector %llu is not read as the checker finds it\n%s", what,
				   SAMPLE_FIRST + i, fuzz_log());
	}
}

/* Reasons to refuse what is no damage of the format. */
static bool may_be_refused(void)
{
	static const char *const texts[] = {
		"Backing device is smaller than", "extension block has values",
		"format is never", "with dirty data or damage", "not completely formatted",
		"is too small (512", "the table is read-only",
		/* The checker takes the list for the identity also where no copy is lost. */
		"does not have as many segments",
		/* It takes that for the block of no cache. */
		"no copy can be read (media error)",
	};

	for (u32 i = 0; i < ARRAY_SIZE(texts); i++)
		if (strstr(fz.error, texts[i]))
			return true;
	/* For the checker that is none. */
	return strstr(fuzz_log(), "a kset says what is not allowed");
}

/*
 * What makes a reader refuse; other rules, of which the checker may tell the first one,
 * bind writers only, and the older slot of a tail is looked at by the checker alone.
 */
static bool is_damage(const char *error)
{
	static const char *const texts[] = {
		"super-block: ", "cache_info: ", "features_incompat", "physical id",
		"seg_info flags", "the last one has a next one", "no valid ", "no slot is valid",
		"the log cannot be read", "the log ends at", "nothing stands at key_tail",
		": segment ", ": generation ", " unknown flags",
		" no multiple of 512", " crosses a stretch", " does not have",
		" not in one data area", " in a segment of the log", "LAST leads into",
		"there is no super-block",
	};

	for (u32 i = 0; i < ARRAY_SIZE(texts); i++)
		if (strstr(error, texts[i]))
			return true;
	return false;
}

/* Of an extension block without its magic the checker takes the other slot. */
static bool ext_is_odd(void)
{
	for (u32 slot = 0; slot < 2; slot++) {
		const struct pcache_media_ext *ext = (const void *)(fz.in.media + PCACHE_EXT_OFF +
								    slot * PCACHE_EXT_STRIDE);

		if (le64_to_cpu(ext->magic) != PCACHE_EXT_MAGIC &&
		    le32_to_cpu(ext->header.crc) == crc32c(PCACHE_CRC_SEED, &ext->header.seq,
							   sizeof(*ext) - sizeof(__le32)))
			return true;
	}
	return false;
}

static void check_verdict(const struct look *look, const char *what)
{
	const struct checker *c = &fz.checker;
	bool formats = fz.in.head.options % 8 == 5 || c->unfinished || !c->formatted;

	if (ext_is_odd())
		return;
	if (look->attached && !look->needs_check) {
		if (c->damaged && is_damage(c->error) && !formats)
			fuzz_wrong("%s: attached, but the checker says: %s\n%s", what, c->error,
				   fuzz_log());
		if (!c->damaged && (fz.read_only || !formats))
			compare(look, what);
	} else if (fz.sound && !c->damaged && c->formatted && !c->unfinished &&
		   !may_be_refused()) {
		fuzz_wrong("%s: refused (%s), but the checker finds nothing wrong\n%s", what,
			   fz.error, fuzz_log());
	}
}

/*
 * What the medium says is clean may leave the cache at any time, and the backing device
 * need not have the same: read-write it is not known what must be read then.
 */
static void find_clean(void)
{
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		fz.clean[i] = fz.checker.damaged ||
			      (fz.checker.formatted && fz.places[i].off && !fz.places[i].dirty);
}

static void load(void)
{
	const struct disk_config disk = { .sectors = DISK_SECTORS, .block_sectors = 1 };

	pmem_model_new(fz.in.bytes);
	pmem_model_set_store_heals(true);
	pmem_model_write(0, fz.in.media, fz.in.bytes);
	pmem_model_settle();
	for (u32 i = 0; i < fz.in.nr_poison; i++)
		pmem_model_poison(fz.in.poison[i], 64);
	disk_model_new(&disk);
	disk_model_write(SAMPLE_FIRST, fz.in.base->disk, SAMPLE_SECTORS);
	memcpy(fz.disk, fz.in.base->disk, sizeof(fz.disk));
}

/* What a session has left: sound, and the same is read. */
static void look_again(enum sim_end end)
{
	struct sim_random r;

	if (fz.stuck || fz.after.failed || fz.after.needs_check)
		return;
	pmem_model_off();
	sim_seed(&r, fz.in.head.seed);
	pmem_model_on(&r, sim_below(&r, PMEM_CUTS));
	disk_model_on(&r, DISK_CUT_ALL);
	judge();
	if (fz.checker.damaged && is_damage(fz.checker.error) && !fz.in.nr_poison)
		fuzz_wrong("what it leaves is damaged: %s\n%s", fz.checker.error, fuzz_log());
	run(false, true, &fz.second);
	if (fz.in.nr_poison)
		return;
	if (!fz.second.attached)
		fuzz_wrong("a second time it is refused: %s\n%s", fz.error, fuzz_log());
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		if (fz.clean[i])
			continue;
		else if (fz.after.known[i] != fz.second.known[i] ||
		    (fz.after.known[i] && memcmp(fz.after.data + (i << SECTOR_SHIFT),
				fz.second.data + (i << SECTOR_SHIFT), SECTOR_SIZE)))
			fuzz_wrong("a second time sector %llu differs\n%s", SAMPLE_FIRST + i,
				   fuzz_log());
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_init();
	edit_init();
	fz.in.media = malloc(PMEM_MAX_BYTES);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	enum sim_end end;

	if (!edit_apply(data, size, &fz.in))
		return -1;
	load();
	judge();
	find_clean();
	run(true, false, &fz.first);
	check_untouched("read-only");
	check_verdict(&fz.first, "read-only");
	end = run(false, false, &fz.first);
	/* What is formatted at last may turn out to be unreadable even so. */
	if (!fz.first.attached && !strstr(fuzz_log(), "formatting"))
		check_untouched("refused");
	check_verdict(&fz.first, "read-write");
	if (fz.first.attached)
		look_again(end);
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	return edit_mutate(data, size, max_size, seed);
}

size_t LLVMFuzzerCustomCrossOver(const u8 *a, size_t a_size, const u8 *b, size_t b_size, u8 *out,
				 size_t max_size, unsigned int seed)
{
	return edit_cross(a, a_size, b, b_size, out, max_size, seed);
}
