/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of write-back have in common, and nobody else needs.
 */
#ifndef PCACHE_WRITEBACK_H
#define PCACHE_WRITEBACK_H

#include "pcache.h"

/**
 * struct pcache_round - one round
 * @from: where its ksets begin
 * @to: behind them
 * @held: dirty_tail stays where it is, because of an earlier one
 * @keys: dirty ones in these
 * @key_sectors: their lengths
 * @written: sectors that have got to the backing device, durably
 * @unreadable: sectors that could not be read
 * @unwritten: sectors that the backing device did not take
 * @durable: ord; where the log, as far as it is its turn, ended when it began
 * @space: sectors that its keys name, those of clean ones too
 * @left_out: something whose successor need not have been durable when it began
 * @tried: the backing device has failed one since dirty_tail
 * @settled: nothing in it that is dirty was acknowledged
 * @ordered: epochs are kept apart
 * @single: it has one kset
 * @no_memory: that was short, so it tells nothing of the backing device
 */
struct pcache_round {
	struct pcache_pos from;
	struct pcache_pos to;
	u64 durable;
	bool tried;
	bool settled;
	bool ordered;
	bool single;
	bool held;
	bool no_memory;
	bool left_out;
	u32 keys;
	u32 key_sectors;
	u64 space;
	u32 written;
	u32 unreadable;
	u32 unwritten;
};

/*
 * writeback.c: rounds
 */
void pcache_wb_settle_later(struct pcache *pc);

/*
 * writeback-batch.c: what of the log a round writes
 */
bool pcache_wb_remember(struct pcache_tree *t, const struct pcache_extent *e);
bool pcache_wb_tree_without(struct pcache_tree *from, struct pcache_tree *t);
bool pcache_wb_begins_epoch(const struct pcache_kset *ks);
int pcache_wb_collect(struct pcache *pc, struct pcache_round *rd, const struct pcache_pos *durable);
bool pcache_wb_live_part(struct pcache_shard *sh, const struct pcache_extent *e, sector_t at,
			 struct pcache_extent *part);
void pcache_wb_note_discarded(struct pcache *pc, struct pcache_tree *t);
void pcache_wb_leave_out(struct pcache *pc, struct pcache_round *rd);

/*
 * writeback-bios.c: the batch goes to the backing device
 */
int pcache_wb_bios_init(struct pcache_writeback *w);
void pcache_wb_bios_rest(struct pcache_writeback *w);
void pcache_wb_bios_exit(struct pcache_writeback *w);
bool pcache_wb_write(struct pcache *pc, struct pcache_round *rd);

/*
 * writeback-again.c: what could not be read, or not written, is logged again
 */
int pcache_wb_move_bad_on(struct pcache *pc, const struct pcache_round *rd);
bool pcache_wb_nothing_but_bad(struct pcache *pc, const struct pcache_round *rd,
			       const struct pcache_places *at);
u64 pcache_wb_waits_served(struct pcache *pc);

/*
 * writeback-wait.c: who waits until data is on the backing device
 */
void pcache_wb_finish_waiters(struct pcache *pc, u64 ord);
void pcache_wb_finish_hopeless(struct pcache *pc, u64 ord, u64 run, bool all);
void pcache_wb_fail_waiters(struct pcache *pc);
void pcache_wb_waiters_move_on(struct pcache *pc, const struct pcache_round *rd);

/*
 * writeback-due.c: when data is due, and the pace of writes
 */
void pcache_wb_set_stalled(struct pcache *pc, bool stalled);
u64 pcache_wb_due_end(struct pcache *pc, const struct pcache_places *at);
void pcache_wb_wait_for_age(struct pcache *pc);

#endif
