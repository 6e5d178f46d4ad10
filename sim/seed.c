// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One seed: a blank cache and disk; then sessions, most of which the power ends. For
 * each power cut several images of what it may have left are made, judged by the
 * checker and the oracle, and attached; with the last of them it goes on.
 */
#include <stdio.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/mm.h>

#include "disk-model.h"
#include "mainline-session.h"
#include "oracle.h"
#include "pcache.h"
#include "pmem-model.h"
#include "seed.h"
#include "session.h"
#include "verdict.h"

static struct {
	const struct sim_params *p;
	u64 seed;
	bool trace;
	bool (*image_is_new)(u64 hash);
	struct seed_stats *stats;
	struct sim_random random;
	struct sim_random moments;
	struct verdict verdict;
	bool crashed;
	struct kept_value gc_percent;
	bool old_left;		/* no session has begun on a new cache yet */
	bool force;
	u32 nr_sessions;
	bool over;		/* the medium cannot be attached any more, rightly */
	char error[1400];
} sd;

const char *seed_error(void)
{
	return sd.error;
}

static bool fail(const char *what, const char *error)
{
	snprintf(sd.error, sizeof(sd.error), "%s: %s", what, error);
	return false;
}

static void new_disk(void)
{
	const struct sim_params *p = sd.p;
	const struct disk_config disk = {
		.first = session_first_sector(p), .sectors = p->sectors,
		.block_sectors = p->block, .write_cache = !p->no_write_cache,
		.discards = !p->no_discard,
		.read_errors = p->read_errors, .write_errors = p->write_errors,
		.flush_errors = p->flush_errors, .latency_ns = p->latency_us * 1000ULL,
	};

	disk_model_new(&disk);
	oracle_new(disk.first, disk.sectors);
	oracle_set_block(p->block);
}

static u64 pmem_bytes(u32 segs)
{
	return ALIGN(PCACHE_SEGS_OFF + (u64)segs * PCACHE_SEG_BYTES, PAGE_SIZE);
}

static void new_devices(void)
{
	pmem_model_new(pmem_bytes(sd.p->segs - sd.p->smaller));
	pmem_model_set_store_heals(sd.p->store_heals);
	new_disk();
}

/* Judges the medium and the disk as they are now, nothing of them volatile. */
static bool judge(enum checker_state state, bool new_image)
{
	const char *error = verdict_judge(sd.p, state, sd.old_left, &sd.verdict);

	if (error)
		return fail("at rest", error);
	sd.force = (sd.old_left && !sd.verdict.formatted) || sd.verdict.wiping;
	if (new_image && sd.image_is_new && sd.image_is_new(sd.verdict.hash))
		sd.stats->images++;
	return true;
}

enum kind { WORK, LOOK, LOOK_READ_ONLY };

static bool run_session(enum kind kind, bool clean, u64 cut_after, enum sim_end *end)
{
	struct sim_config config = {
		.seed = sim_next(&sd.random), .cpus = sd.p->cpus,
		.switch_mean = sd.p->switch_mean, .hops = sd.p->hops, .jump_of_1024 = sd.p->jump,
		.starve_of_1024 = sd.p->starve,
		.atomic_points = sd.p->atomics,
		.cut_after = cut_after, .max_points = 30000000,
	};
	struct kept_value gc_percent = sd.gc_percent;
	struct session s = {
		.p = sd.p, .seed = sim_next(&sd.random), .crashed = sd.crashed,
		.expected = sd.verdict.expected, .known = sd.verdict.known, .only_look = kind != WORK,
		.read_only = kind == LOOK_READ_ONLY,
		.clean = clean, .force = sd.force, .trace = sd.trace,
		.gc_percent = sd.p->gc_kept ? &gc_percent : NULL,
	};
	bool ok;

	sd.nr_sessions++;
	if (sd.trace)
		fprintf(stderr, "--- session %u%s%s\n", sd.nr_sessions,
			kind == LOOK ? ", only to look" : kind ? ", read-only" : "",
			clean ? ", ends with a detach" : "");
	ok = session_run(&s, &config, end);
	/* Of what one power cut may leave, each may have kept another one. */
	if (kind == WORK)
		sd.gc_percent = gc_percent;
	sd.stats->sessions++;
	sd.stats->ops += s.ops;
	sd.stats->second_turns += s.second_turns;
	if (!ok) {
		snprintf(sd.error, sizeof(sd.error), "session %u: %s", sd.nr_sessions,
			 session_error());
		return false;
	}
	sd.over |= s.refused;
	return true;
}

/* A byte of what is cached is not what was stored, and no load tells. */
static void let_rot(void)
{
	u64 off = sd.verdict.places[sim_below(&sd.random, sd.p->sectors)].off;

	if (off)
		pmem_model_rot(off + sim_below(&sd.random, SECTOR_SIZE),
			       1 + sim_below(&sd.random, 255));
}

static void make_media_errors(void)
{
	for (u32 i = 0; sd.verdict.places && i < sd.p->rot; i++)
		let_rot();
	for (u32 i = 0; i < sd.p->poison; i++) {
		u64 end = sim_below(&sd.random, 2) ? PCACHE_SEGS_OFF : pmem_model_bytes();

		pmem_model_poison(sim_below(&sd.random, end) & ~63ULL, 64);
	}
}

/* One of what the power cut may have left. */
static void power_on(void)
{
	u32 pmem = sd.p->pmem_cut, disk = sd.p->disk_cut;

	if (pmem >= PMEM_CUTS)
		pmem = sim_below(&sd.random, PMEM_CUTS);
	if (disk >= DISK_CUTS)
		disk = sim_below(&sd.random, DISK_CUTS);
	pmem_model_on(&sd.random, pmem);
	disk_model_on(&sd.random, disk);
}

static bool after_cut(void)
{
	enum sim_end end;

	sd.stats->cuts++;
	sd.crashed = true;
	oracle_crash();
	pmem_model_off();
	disk_model_off();
	for (u32 left = sd.p->variants; left; left--) {
		power_on();
		if (!judge(CHECKER_CRASHED, true))
			return false;
		if (sd.verdict.formatted && !sim_below(&sd.random, 4) &&
		    !run_session(LOOK_READ_ONLY, true, 0, &end))
			return false;
		if (left > 1 && !run_session(LOOK, true, 0, &end))
			return false;
	}
	/* What was refused in one variant is not what goes on. */
	sd.over = false;
	return true;
}

/* The log is durable; the disk's cache may still be lost. */
static bool after_detach(void)
{
	oracle_crash();
	pmem_model_settle();
	disk_model_off();
	disk_model_on(&sd.random, sim_below(&sd.random, DISK_CUTS));
	sd.crashed = true;
	return sd.over || judge(pmem_model_was_poisoned() ? CHECKER_CRASHED : CHECKER_DETACHED, false);
}

/* Linux's own works with what a session left. */
static bool mainline_round(void)
{
	struct mainline_session m = {
		.p = sd.p, .writes = 1 + sim_below(&sd.random, 30), .seed = sim_next(&sd.random),
		.cut_after = sim_below(&sd.random, 2) ? 0 : 1 + sim_below(&sd.random, 100),
	};
	const char *error;

	/* A log that has never been attached is not there yet; it would format. */
	if (!sd.verdict.formatted || sd.verdict.growing)
		return true;
	error = mainline_session_run(&m);
	if (error)
		return fail("session of Linux's own", error);
	sd.nr_sessions++;
	oracle_crash();
	pmem_model_off();
	pmem_model_on(&sd.random, PMEM_CUT_ALL);
	disk_model_off();
	disk_model_on(&sd.random, DISK_CUT_ALL);
	return judge(CHECKER_CRASHED, true);
}

static bool one_round(void)
{
	bool clean = sim_chance(&sd.random, sd.p->end_clean);
	bool early = sim_chance(&sd.random, sd.p->cut_early);
	u64 cut_after = early ? 1 + sim_below(&sd.random, sim_below(&sd.random, 2) ? 500 : 8000) : 0;
	enum sim_end end;

	sd.old_left = sd.old_left && sd.force;
	if (sd.nr_sessions && !pmem_model_was_poisoned() && sim_chance(&sd.random, sd.p->mainline) &&
	    !mainline_round())
		return false;
	if (sd.nr_sessions || sim_below(&sd.random, 2))
		make_media_errors();
	if (!run_session(WORK, clean, cut_after, &end))
		return false;
	return end == SIM_CUT ? after_cut() : after_detach();
}

/*
 * Leaves a medium with all of an older cache but its super-block and its block, so that
 * only force formats it, and a new disk.
 */
static bool leave_old_cache(void)
{
	static const u8 zeroes[PCACHE_INFO_OFF - PCACHE_SUPER_OFF];
	enum sim_end end;

	if (!run_session(WORK, true, 0, &end))
		return false;
	pmem_model_settle();
	pmem_model_write(PCACHE_SUPER_OFF, zeroes, sizeof(zeroes));
	pmem_model_settle();
	new_disk();
	sd.old_left = sd.force = true;
	return true;
}

/* The backing device alone, if the cache were lost now. */
static void at_moment(void)
{
	const char *error;

	session_moment();
	if (sim_next(&sd.moments) & 31)
		return;
	error = oracle_disk(disk_model_durable_content(), !sd.p->fast);
	if (!error)
		error = oracle_disk(disk_model_content(), !sd.p->fast);
	if (error && !pmem_model_was_poisoned())
		sim_fail("%s", error);
}

bool seed_run(const struct sim_params *p, u64 seed, bool trace,
	      bool (*image_is_new)(u64 hash), struct seed_stats *stats)
{
	enum sim_end end;

	sd.p = p;
	sd.seed = seed;
	sd.trace = trace;
	sd.image_is_new = image_is_new;
	sd.stats = stats;
	sd.crashed = false;
	sd.nr_sessions = 0;
	sd.over = false;
	sd.old_left = sd.force = false;
	sd.gc_percent = (struct kept_value) { .nr = 1, .may_be = { PCACHE_GC_PERCENT_DEFAULT } };
	memset(&sd.verdict, 0, sizeof(sd.verdict));
	sd.error[0] = '\0';
	sim_seed(&sd.random, seed);
	sim_seed(&sd.moments, ~seed);
	sim_set_moment(at_moment);
	new_devices();
	if (p->old && !p->poison && !p->rot && !leave_old_cache())
		return false;
	for (u32 i = 0; i < p->rounds && !sd.over; i++) {
		if (i == 1)
			pmem_model_grow(max(pmem_bytes(p->segs), pmem_model_bytes()));
		if (!one_round())
			return false;
	}
	if (sd.over)
		return true;
	/* What is left at last. */
	return run_session(LOOK, true, 0, &end) && (end == SIM_CUT || after_detach());
}
