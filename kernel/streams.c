// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams of reads (sequential_cutoff_kb): a read that begins where another ended goes on
 * with its stream; any other begins one, in the place of the one that was seen longest ago.
 * What Device-Mapper splits a bio into belongs together by the same rule.
 *
 * Nothing of it is on the medium. All is under one spinlock, which is held for one
 * look-up and with no other, and not taken at all while the option is 0.
 */
#include <linux/hash.h>
#include <linux/log2.h>

#include "pcache.h"

static struct hlist_head *bucket(struct pcache_streams *st, sector_t next)
{
	return &st->hash[hash_64(next, ilog2(PCACHE_STREAMS))];
}

/* The stream that would go on at @sector; else the oldest, as a new one without length. */
static struct pcache_stream *stream_at(struct pcache_streams *st, sector_t sector)
{
	struct pcache_stream *s;

	lockdep_assert_held(&st->lock);
	hlist_for_each_entry(s, bucket(st, sector), hash)
		if (s->next == sector)
			return s;
	s = list_first_entry(&st->seen, struct pcache_stream, link);
	s->sectors = 0;
	return s;
}

/**
 * pcache_stream_is_long() - Is a read's stream longer than the cutoff?
 * @pc: cache with a cutoff
 * @sector: the read's first sector
 * @sectors: its length, which counts
 */
bool pcache_stream_is_long(struct pcache *pc, sector_t sector, u32 sectors)
{
	struct pcache_streams *st = &pc->streams;
	struct pcache_stream *s;
	bool is_long;

	spin_lock(&st->lock);
	s = stream_at(st, sector);
	hlist_del_init(&s->hash);
	s->next = sector + sectors;
	s->sectors += sectors;
	hlist_add_head(&s->hash, bucket(st, s->next));
	list_move_tail(&s->link, &st->seen);
	is_long = s->sectors > READ_ONCE(pc->cutoff_sectors);
	spin_unlock(&st->lock);
	return is_long;
}

/**
 * pcache_streams_init() - No stream is known.
 * @pc: cache
 */
void pcache_streams_init(struct pcache *pc)
{
	struct pcache_streams *st = &pc->streams;
	u32 i;

	spin_lock_init(&st->lock);
	INIT_LIST_HEAD(&st->seen);
	for (i = 0; i < PCACHE_STREAMS; i++) {
		INIT_HLIST_HEAD(&st->hash[i]);
		INIT_HLIST_NODE(&st->stream[i].hash);
		list_add_tail(&st->stream[i].link, &st->seen);
	}
}
