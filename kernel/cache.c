// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache as a whole: made, resumed, suspended, destroyed; its state.
 *
 * pcache_create() only reads. What has to be stored to take the medium into use
 * is stored by pcache_resume(); works run from then until pcache_suspend(), which
 * leaves everything that was written durable.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "pcache.h"
#include "trace.h"

const char *pcache_state_name(enum pcache_state state)
{
	switch (state) {
	case PCACHE_RW:
		return "rw";
	case PCACHE_FAIL:
		return "fail";
	default:
		return "ro";
	}
}

/*
 * What each state may be left to. To rw and ro only pcache_resume() goes, from one to the
 * other with a table that asks for it; to fail whoever
 * finds metadata that cannot be read, or no room for the log: write-back, reclaim and
 * commits, which run in rw only.
 */
static const unsigned long left_to[] = {
	[PCACHE_NEW] = BIT(PCACHE_RW) | BIT(PCACHE_RO),
	[PCACHE_RW] = BIT(PCACHE_FAIL) | BIT(PCACHE_RO),
	[PCACHE_RO] = BIT(PCACHE_RW),
	[PCACHE_FAIL] = 0,
};

static void event_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, event_work);

	if (pc->event)
		pc->event(pc->host);
}

/**
 * pcache_event() - Tell the host that status has changed.
 * @pc: cache
 *
 * Context: any.
 */
void pcache_event(struct pcache *pc)
{
	queue_work(pc->wq, &pc->event_work);
}

/**
 * pcache_set_state() - Change the state.
 * @pc: cache
 * @state: new one
 * @why: what for, for the log; NULL: nothing to log
 *
 * Who comes to "fail" first decides; nothing leads out of it. What is not allowed is not
 * done.
 *
 * Context: process context, no locks.
 */
void pcache_set_state(struct pcache *pc, enum pcache_state state, const char *why)
{
	enum pcache_state old = READ_ONCE(pc->state);

	do {
		if (old == state || WARN_ON_ONCE(!(left_to[old] & BIT(state))))
			return;
	} while (!try_cmpxchg(&pc->state, &old, state));
	if (state == PCACHE_FAIL) {
		trace_pcache_failure(pc, why, 0, 0);
		pcache_err(pc, "failed: %s", why);
	}
	pcache_event(pc);
	if (state == PCACHE_FAIL) {
		pcache_io_space_freed(pc);
		pcache_writeback_wake(pc);
	}
}

/**
 * pcache_wear_out() - Errors of the cache device have piled up.
 * @pc: cache
 *
 * Nothing new is left to it: reads fill nothing, nothing has a second turn, a write is done
 * when the backing device has it, and goes around the cache once what is dirty is clean.
 *
 * Context: process context, no locks.
 */
void pcache_wear_out(struct pcache *pc)
{
	bool known;

	if (READ_ONCE(pc->state) != PCACHE_RW)
		return;
	spin_lock(&pc->segs.lock);
	known = pc->worn;
	WRITE_ONCE(pc->worn, true);
	spin_unlock(&pc->segs.lock);
	if (known)
		return;
	trace_pcache_failure(pc, "the cache device is worn", 0, 0);
	pcache_err(pc, "data of %u of %u segments could not be read: nothing new is left to the cache device, writes go to the backing device",
		   READ_ONCE(pc->segs.nr_bad), READ_ONCE(pc->n_segs));
	pcache_event(pc);
	pcache_writeback_wake(pc);
	pcache_io_pace_changed(pc);
}

/*
 * From the first write on that sees the mode, none is acknowledged before it is clean.
 * What was acknowledged earlier is in the index, so behind pcache_journal_sync() the
 * end of the log is behind it.
 */
static int write_through(struct pcache *pc, enum pcache_mode mode)
{
	enum pcache_mode old = pc->mode;
	int r;

	WRITE_ONCE(pc->mode, mode);
	r = pcache_journal_sync(pc);
	if (!r)
		pcache_writeback_settle(pc, true);
	if (!r && !pcache_writeback_settled(pc))
		r = pcache_writeback_flush(pc, false);
	if (!r)
		return 0;
	if (!pcache_mode_is_through(old))
		pcache_writeback_settle(pc, false);
	WRITE_ONCE(pc->mode, old);
	return r;
}

/**
 * pcache_set_mode() - Change the cache mode.
 * @pc: cache, running; admin is held
 * @mode: new one
 *
 * To write-through or write-around all that is dirty is written back first.
 *
 * Context: may sleep for long; a signal ends that.
 *
 * Return: 0; or, and then it is as before, as pcache_writeback_flush().
 */
int pcache_set_mode(struct pcache *pc, enum pcache_mode mode)
{
	lockdep_assert_held(&pc->admin);
	if (pcache_mode_is_through(mode))
		return write_through(pc, mode);
	/* Before the first write that is acknowledged while it is dirty. */
	pcache_writeback_settle(pc, false);
	WRITE_ONCE(pc->mode, mode);
	return 0;
}

/* What depends on how many segments there are. */
static int load_log(struct pcache *pc, const char **error)
{
	int r = pcache_segs_load(pc, error);

	if (r)
		return r;
	r = pcache_index_init(pc);
	if (r) {
		*error = "Cannot allocate memory for the index";
		return r;
	}
	r = pcache_replay(pc, error);
	if (r)
		return r;
	pcache_clear_stats(pc);
	pcache_segs_settle(pc);
	return 0;
}

static void unload_log(struct pcache *pc)
{
	pcache_index_exit(pc);
	pcache_segs_exit(pc);
	pc->shards = NULL;
	memset(&pc->segs, 0, sizeof(pc->segs));
	pcache_reset_counters(pc);
}

/* A formatted cache may be formatted anew only if nothing would be lost. */
static int replace_formatted(struct pcache *pc, const char **error)
{
	if (pc->damage.found || pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS)) {
		*error = "Cache device holds a pcache with dirty data or damage, which format force does not overwrite";
		return -EBUSY;
	}
	unload_log(pc);
	return pcache_super_plan_format(pc, error);
}

/* A damaged log may only be read. */
static int may_write(const struct pcache *pc, bool read_only, const char **error)
{
	if (read_only || !pc->damage.found)
		return 0;
	*error = "Cache log is damaged (see the kernel log): attach read-only, or repair";
	return -EUCLEAN;
}

/* What the line does not name is as the medium has it. */
static void take_given(struct pcache *pc)
{
	pcache_super_recall_options(pc);
	if (test_bit(PCACHE_OPT_GC_PERCENT, &pc->options.given))
		WRITE_ONCE(pc->gc_percent, pc->options.gc_percent);
	if (test_bit(PCACHE_OPT_CACHE_MODE, &pc->options.given))
		WRITE_ONCE(pc->mode, pc->options.mode);
}

static int load(struct pcache *pc, const char **error)
{
	int r = pcache_super_load(pc, error);

	if (r || pc->super.format)
		return r;
	take_given(pc);
	r = load_log(pc, error);
	if (r)
		return r;
	if (pc->options.format == PCACHE_FORMAT_FORCE)
		return replace_formatted(pc, error);
	return may_write(pc, pc->read_only, error);
}

static int make_parts(struct pcache *pc)
{
	return pcache_extent_init(pc) ?: pcache_journal_init(pc) ?: pcache_io_init(pc) ?:
	       pcache_reclaim_init(pc) ?: pcache_writeback_init(pc);
}

/* What a table says, and what its backing device is today. */
static void take_line(struct pcache *pc, const struct pcache_config *config)
{
	pc->backing_sectors = bdev_nr_sectors(config->backing);
	pc->block_sectors = bdev_logical_block_size(config->backing) >> SECTOR_SHIFT;
	pc->read_only = config->read_only;
	pc->options = config->options;
	pc->ordered = config->options.ordered;
	pc->clock = config->options.clock;
	pc->writeback_delay_ms = config->options.writeback_delay_ms;
	pc->dirty_low_percent = config->options.dirty_low_percent;
	pc->dirty_high_percent = config->options.dirty_high_percent;
	pc->cutoff_sectors = config->options.cutoff_kb << (10 - SECTOR_SHIFT);
	pcache_copy_choose(pc, config->options.copy);
	pc->event = config->event;
	pc->grow = config->grow;
	pc->host = config->host;
}

static int make_base(struct pcache *pc, const struct pcache_config *config)
{
	pc->name = config->name;
	pc->media = config->media;
	pc->media_bytes = config->media_bytes;
	pc->backing = config->backing;
	take_line(pc, config);
	mutex_init(&pc->admin);
	pcache_streams_init(pc);
	INIT_WORK(&pc->event_work, event_work);
	pc->wq = alloc_workqueue("pcache", WQ_MEM_RECLAIM, 0);
	pc->wb_wq = alloc_workqueue("pcache-wb", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	pc->log_wq = alloc_workqueue("pcache-log", WQ_MEM_RECLAIM, 0);
	return pc->wq && pc->wb_wq && pc->log_wq ? pcache_stats_init(pc) : -ENOMEM;
}

/**
 * pcache_create() - Make a cache of what is on the medium. Only reads.
 * @config: devices and options
 * @error: what is wrong
 *
 * Context: may sleep.
 *
 * Return: the cache, for pcache_destroy(), or an error pointer.
 */
struct pcache *pcache_create(const struct pcache_config *config, const char **error)
{
	struct pcache *pc;
	int r;

	if (config->media_bytes < PCACHE_MIN_BYTES) {
		*error = "Cache device is too small (512 MiB at least)";
		return ERR_PTR(-EINVAL);
	}
	pc = kzalloc(sizeof(*pc), GFP_KERNEL);
	if (!pc) {
		*error = "Cannot allocate memory for the cache";
		return ERR_PTR(-ENOMEM);
	}
	r = make_base(pc, config);
	if (r)
		*error = "Cannot allocate memory for the cache";
	else
		r = load(pc, error);
	if (!r) {
		r = make_parts(pc);
		if (r)
			*error = "Cannot allocate memory for the cache";
	}
	if (r) {
		pcache_destroy(pc);
		return ERR_PTR(r);
	}
	return pc;
}

/**
 * pcache_destroy() - Free a cache.
 * @pc: cache, never resumed or suspended
 *
 * Context: may sleep.
 */
void pcache_destroy(struct pcache *pc)
{
	pcache_writeback_exit(pc);
	pcache_reclaim_exit(pc);
	pcache_io_exit(pc);
	pcache_journal_exit(pc);
	pcache_extent_exit(pc);
	unload_log(pc);
	if (pc->log_wq)
		destroy_workqueue(pc->log_wq);
	if (pc->wb_wq)
		destroy_workqueue(pc->wb_wq);
	if (pc->wq)
		destroy_workqueue(pc->wq);
	pcache_stats_exit(pc);
	kfree(pc);
}

/**
 * pcache_reload_check() - May another table line take a cache over?
 * @pc: cache that was resumed at least once; it may run
 * @config: what the other table says; its devices are the same ones
 * @error: why not
 *
 * Changes nothing.
 *
 * Context: may sleep. Return: 0 or -errno.
 */
int pcache_reload_check(struct pcache *pc, const struct pcache_config *config,
			const char **error)
{
	if (config->options.format == PCACHE_FORMAT_FORCE) {
		*error = "A live cache is not formatted: remove the device first, or leave format force out";
		return -EBUSY;
	}
	if (config->media_bytes <
	    PCACHE_SEGS_OFF + (u64)READ_ONCE(pc->super.seg_total) * PCACHE_SEG_BYTES) {
		*error = "Cache device is smaller than its super-block says";
		return -EUCLEAN;
	}
	return may_write(pc, config->read_only, error) ?:
	       pcache_super_check_line(pc, &config->options, bdev_nr_sectors(config->backing),
				       error);
}

/**
 * pcache_reload() - Another table line takes a cache over.
 * @pc: cache, suspended
 * @config: what pcache_reload_check() has found good
 *
 * It holds from here on, and is stored by the pcache_resume() that has to follow.
 * Nobody hears of events by way of the older line any more.
 *
 * Context: may sleep, but not for I/O.
 */
void pcache_reload(struct pcache *pc, const struct pcache_config *config)
{
	mutex_lock(&pc->admin);
	flush_work(&pc->event_work);
	take_line(pc, config);
	take_given(pc);
	mutex_unlock(&pc->admin);
	pcache_event(pc);
}

/**
 * pcache_silence() - Nobody is to hear of events any more.
 * @pc: cache, suspended
 *
 * Context: may sleep.
 */
void pcache_silence(struct pcache *pc)
{
	mutex_lock(&pc->admin);
	flush_work(&pc->event_work);
	pc->event = NULL;
	mutex_unlock(&pc->admin);
}

/**
 * pcache_may_go() - Would nothing be lost for now if another cache took its place?
 * @pc: cache
 * @suspended: it is; else what is written meanwhile has to be clean as well
 *
 * Context: process context, no locks.
 */
bool pcache_may_go(struct pcache *pc, bool suspended)
{
	return !pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS) &&
	       (suspended || (pcache_mode_is_through(pcache_mode_now(pc)) &&
			      pcache_writeback_settled(pc)));
}

/*
 * Formats as planned, and loads what that made. Memory for that must not wait for
 * I/O: it might be to the mapped device, which keeps it back until it is resumed.
 */
static int format_and_load(struct pcache *pc)
{
	enum pcache_format asked = pc->options.format;
	unsigned int noio = memalloc_noio_save();
	const char *error = NULL;
	int r;

	pcache_super_format(pc);
	pc->options.format = PCACHE_FORMAT_NEVER;
	r = load(pc, &error);
	memalloc_noio_restore(noio);
	pc->options.format = asked == PCACHE_FORMAT_FORCE ? PCACHE_FORMAT_AUTO : asked;
	if (!r)
		return 0;
	pcache_err(pc, "just formatted, and yet: %s", error);
	unload_log(pc);
	return pcache_super_plan_format(pc, &error) ?: r;
}

/**
 * pcache_resume() - Take the medium into use; let requests come.
 * @pc: cache
 *
 * Context: may sleep. Return: 0 or -errno; then it is as before.
 */
int pcache_resume(struct pcache *pc)
{
	int r = 0;

	mutex_lock(&pc->admin);
	/* The host's last try has failed elsewhere, and nobody has suspended it since. */
	if (pc->running)
		goto out;
	if (pc->read_only) {
		if (pc->state != PCACHE_FAIL)
			pcache_set_state(pc, PCACHE_RO, NULL);
		goto out;
	}
	if (pc->super.format)
		r = format_and_load(pc);
	if (r)
		goto out;
	pcache_super_attach(pc);
	if (pc->state != PCACHE_FAIL)
		pcache_set_state(pc, PCACHE_RW, NULL);
	pcache_copy_measure(pc);
	pcache_reclaim_stale_prefix(pc);
	pcache_writeback_settle(pc, pcache_mode_is_through(pcache_mode_now(pc)));
	pcache_writeback_start(pc);
	pcache_reclaim_start(pc);
	pc->running = true;
out:
	mutex_unlock(&pc->admin);
	return r;
}

/* Stops reclaim, with what mainline would stumble over passed; false: it is still there. */
static bool pass_stale_keys(struct pcache *pc)
{
	if (pc->journal.has_stale)
		pcache_writeback_flush(pc, true);
	pcache_reclaim_stop(pc);
	/* Now that reclaim takes no room any more. */
	pcache_heads_close(pc);
	return pcache_reclaim_all_stale(pc);
}

/**
 * pcache_suspend() - Make all durable; stop everything.
 * @pc: cache; no request is under way, none comes
 *
 * Context: may sleep, with flush_on_suspend until all is written back or the
 * backing device has an error.
 */
void pcache_suspend(struct pcache *pc)
{
	u64 dirty;
	bool clean;

	mutex_lock(&pc->admin);
	if (!pc->running)
		goto out;
	pcache_io_drain(pc);
	if (pc->flush_on_suspend && pcache_writeback_flush(pc, true))
		pcache_warn(pc, "flush on suspend: not all could be written back");
	clean = pass_stale_keys(pc);
	pcache_writeback_stop(pc);
	/* The next attach knows nothing of discards. */
	if (!pcache_discards_durable(pc) && pcache_flush_backing(pc))
		pcache_warn(pc, "the backing device has not made discards durable");
	pcache_segs_free_dead(pc);
	if (pcache_journal_stop(pc))
		clean = false;
	flush_work(&pc->event_work);
	if (pc->state == PCACHE_RW && clean)
		pcache_super_detach(pc);
	else if (pc->state == PCACHE_RW)
		pcache_warn(pc, "keys of an old generation stay in the log behind dirty data: do not attach it to Linux's own dm-pcache");
	dirty = pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS);
	if (dirty)
		pcache_info(pc, "suspended with %llu dirty sectors in the cache",
			    (unsigned long long)dirty);
	pc->running = false;
out:
	mutex_unlock(&pc->admin);
}
