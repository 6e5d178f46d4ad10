/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In-core structures of the cache, and what each file offers the others.
 *
 * Lock order:
 *	pcache.admin (mutex) > pcache_super.lock (mutex)
 *	pcache.admin > pcache_shard.lock > pcache_journal.lock
 *	pcache_head.lock > pcache_segs.lock
 *	pcache_streams.lock: nothing is held with it
 *	pcache_io.done_lock is irq-safe and innermost
 *	pcache_bounce.lock is a CPU's own: nothing is held with it but what stores
 * A shard's lock and a head's lock are never held together. User data is
 * copied under none of the spinlocks. doc/design.rst has the whole picture.
 */
#ifndef PCACHE_H
#define PCACHE_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/local_lock.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "format.h"

struct pcache;

#define pcache_err(pc, fmt, ...)	pr_err("dm-pcache: %s: " fmt "\n", (pc)->name, ##__VA_ARGS__)
#define pcache_warn(pc, fmt, ...)	pr_warn("dm-pcache: %s: " fmt "\n", (pc)->name, ##__VA_ARGS__)
#define pcache_info(pc, fmt, ...)	pr_info("dm-pcache: %s: " fmt "\n", (pc)->name, ##__VA_ARGS__)
#define pcache_err_limit(pc, fmt, ...) \
	pr_err_ratelimited("dm-pcache: %s: " fmt "\n", (pc)->name, ##__VA_ARGS__)

/*
 * Options and state
 */

enum pcache_mode {
	PCACHE_WRITEBACK,
	PCACHE_WRITETHROUGH,
	PCACHE_WRITEAROUND,
	PCACHE_WRITEONLY,
};

/* How user data is stored. */
enum pcache_copy {
	PCACHE_COPY_AUTO,
	PCACHE_COPY_NT,
	PCACHE_COPY_CLWB,
};

enum pcache_format {
	PCACHE_FORMAT_AUTO,
	PCACHE_FORMAT_NEVER,
	PCACHE_FORMAT_FORCE,
};

/**
 * struct pcache_options - what a table line asks for
 * @given: bit per option (enum pcache_option) that the line names
 * @mode: what a write waits for, and what reads fill
 * @data_crc: CRC of cached data; fixed when the cache is formatted
 * @gc_percent: share of segments in use at which reclaim begins
 * @ordered: write-back keeps the order of epochs
 * @cutoff_kb: longer streams of reads bypass the cache; 0: none does
 * @clock: what was used since its last turn gets a second one
 * @writeback_delay_ms: how old dirty data may become before write-back takes it
 * @dirty_low_percent: with so much of the cache held by it, it is not waited for its age
 * @dirty_high_percent: with more, writes go on as fast as write-back does
 * @copy: how data is stored
 * @format: what may be formatted
 * @backing_id: what the cache is bound to; NUL-padded
 */
struct pcache_options {
	unsigned long given;
	enum pcache_mode mode;
	bool data_crc;
	u32 gc_percent;
	bool ordered;
	u32 cutoff_kb;
	bool clock;
	u32 writeback_delay_ms;
	u32 dirty_low_percent;
	u32 dirty_high_percent;
	enum pcache_copy copy;
	enum pcache_format format;
	char backing_id[PCACHE_BACKING_ID_BYTES];
};

enum pcache_option {
	PCACHE_OPT_CACHE_MODE,
	PCACHE_OPT_DATA_CRC,
	PCACHE_OPT_GC_PERCENT,
	PCACHE_OPT_ORDER,
	PCACHE_OPT_CUTOFF,
	PCACHE_OPT_EVICTION,
	PCACHE_OPT_WRITEBACK_DELAY,
	PCACHE_OPT_DIRTY_LOW,
	PCACHE_OPT_DIRTY_HIGH,
	PCACHE_OPT_COPY,
	PCACHE_OPT_FORMAT,
	PCACHE_OPT_BACKING_ID,
};

#define PCACHE_GC_PERCENT_MAX		90
#define PCACHE_GC_PERCENT_DEFAULT	70
#define PCACHE_CUTOFF_KB_MAX		1048576
#define PCACHE_WRITEBACK_DELAY_MAX_MS	3600000
#define PCACHE_DIRTY_LOW_DEFAULT	50
#define PCACHE_DIRTY_HIGH_DEFAULT	80

enum pcache_state {
	PCACHE_NEW,
	PCACHE_RW,
	PCACHE_RO,
	PCACHE_FAIL,
};

/* In the order of the status line, then what is not on it. */
enum pcache_stat {
	PCACHE_STAT_DIRTY_SECTORS,
	PCACHE_STAT_CACHED_SECTORS,
	PCACHE_STAT_READ_HITS,
	PCACHE_STAT_READ_PARTIAL_HITS,
	PCACHE_STAT_READ_MISSES,
	PCACHE_STAT_WRITES,
	PCACHE_STAT_WRITE_OVERWRITES,
	PCACHE_STAT_FILLS,
	PCACHE_STAT_BYPASSES,
	PCACHE_STAT_DISCARDS,
	PCACHE_STAT_FLUSHES,
	PCACHE_STAT_SPACE_WAITS,
	PCACHE_STAT_WRITEBACK_SECTORS,
	PCACHE_STAT_WRITEBACK_ERRORS,
	PCACHE_STAT_MEDIA_ERRORS,
	PCACHE_STAT_CRC_ERRORS,
	PCACHE_STAT_RECLAIMED_SEGMENTS,
	PCACHE_STAT_SECOND_CHANCES,
	PCACHE_STATS,
};

/* How a request went, for the histograms of latency. */
enum pcache_outcome {
	PCACHE_HIT,	/* a read that the cache served alone */
	PCACHE_MISS,	/* any other read */
	PCACHE_WRITE,	/* a write that found room at once */
	PCACHE_WAIT,	/* one that waited for room */
	PCACHE_FLUSH,
	PCACHE_DISCARD,
	PCACHE_OUTCOMES,
};

/* Bucket 0 is for less than 1 us, n for 2^(n-1) us and more; the last has no upper end. */
#define PCACHE_LATENCY_BUCKETS	25

/**
 * struct pcache_counters - what is counted, of u64 only
 * @n: what has a name of its own
 * @latency_ns: of requests, added up
 * @latency: how many requests, by bucket
 */
struct pcache_counters {
	u64 n[PCACHE_STATS];
	u64 latency_ns[PCACHE_OUTCOMES];
	u64 latency[PCACHE_OUTCOMES][PCACHE_LATENCY_BUCKETS];
};

/*
 * Places in the log
 */

/**
 * struct pcache_pos - a place in the log
 * @seg: logical id of the segment
 * @off: bytes, in its data area
 * @ord: how many ksets (LAST counted) stand before it; only comparable within
 *	 one attach, where key_tail begins with 0
 */
struct pcache_pos {
	u32 seg;
	u32 off;
	u64 ord;
};

static inline bool pcache_pos_same(const struct pcache_pos *a, const struct pcache_pos *b)
{
	return a->seg == b->seg && a->off == b->off;
}

/**
 * struct pcache_extent - a logical range and the place of its data
 * @sector: first sector on the backing device
 * @sectors: length
 * @seg: logical id of the segment
 * @off: sectors, in its data area
 * @crc: of its key's whole data (data_crc only)
 * @key_delta: sectors from the key's first to this one (data_crc only)
 * @key_sectors: length of the key it came from (data_crc only)
 * @clean: the backing device holds these bytes durably
 * @used: it was read since it was stored, in memory only
 * @discarded: nobody needs these bytes: reads go past it, and @used tells nothing. It is there
 *	       because its key is still in the log
 *
 * Copied often: it is to stay within half a cache line.
 */
struct pcache_extent {
	sector_t sector;
	u32 sectors;
	u32 seg;
	u32 off;
	u32 crc;
	u16 key_delta;
	u16 key_sectors;
	bool clean;
	bool used;
	bool discarded;
};

static inline sector_t pcache_extent_end(const struct pcache_extent *e)
{
	return e->sector + e->sectors;
}

/*
 * slots.c: records that stand twice on the medium
 */

/**
 * struct pcache_slots - where a record's two slots are and which is current
 * @base: slot 0, on the medium
 * @stride: bytes from slot 0 to slot 1
 * @bytes: size of the record
 * @seq: of the current one
 * @current_slot: 0 or 1; -1: none is valid
 * @valid: bit per slot
 */
struct pcache_slots {
	void *base;
	u32 stride;
	u32 bytes;
	u8 seq;
	s8 current_slot;
	u8 valid;
};

u32 pcache_crc(const void *record, size_t bytes);
void pcache_slots_init(struct pcache_slots *s, void *base, u32 stride, u32 bytes);
bool pcache_slots_read(struct pcache_slots *s, void *record);
void pcache_slots_write(struct pcache_slots *s, void *record);
void pcache_slots_write_both(struct pcache_slots *s, void *record);
bool pcache_slots_agree(const struct pcache_slots *s);
void pcache_slots_erase(struct pcache_slots *s);

/*
 * index.c: logical range -> place
 */

struct pcache_leaf;

/**
 * struct pcache_tree - extents in the order of their sectors
 * @root: of leaves, each an array of extents
 * @spares: leaves held ready, so that no insertion has to allocate
 * @nr_spares: how many
 * @crc: extents have CRCs, and are not merged
 * @forgot: clean extents have been taken out that their keys in the log still name
 * @no_fills: discarded ones, too; those keys may be dirty
 * @pool: where leaves come from
 */
struct pcache_tree {
	struct rb_root root;
	struct pcache_leaf *spares;
	u32 nr_spares;
	bool crc;
	bool forgot;
	bool no_fills;
	mempool_t *pool;
};

/**
 * struct pcache_shard - the part of the index that a stretch hashes to
 * @lock: protects all below
 * @tree: extents
 * @misses: reads of the backing device under way that mean to fill
 * @directs: writes around the cache, and discards that are passed down
 */
struct pcache_shard {
	spinlock_t lock;
	struct pcache_tree tree;
	struct list_head misses;
	struct list_head directs;
} ____cacheline_aligned_in_smp;

/**
 * struct pcache_delta - what an operation took out of a tree
 * @dirty: sectors that were dirty
 * @clean: sectors that were clean
 * @over: what comes instead, if somebody asks for @again; or NULL
 * @again: some of it lay at the same place as @over
 */
struct pcache_delta {
	u32 dirty;
	u32 clean;
	const struct pcache_extent *over;
	bool again;
};

/**
 * struct pcache_walk - where in a tree somebody is who goes through all of it
 * @tree: tree
 * @leaf: the next extent's; NULL: there is none
 * @i: its number there
 */
struct pcache_walk {
	struct pcache_tree *tree;
	struct pcache_leaf *leaf;
	u32 i;
};

#define PCACHE_LEAF_BYTES	512
/* So many searches can be under way side by side. */
#define PCACHE_PREFETCH		16U

struct pcache_extent pcache_extent_part(const struct pcache_extent *e, sector_t from,
					sector_t to);
bool pcache_same_place(const struct pcache_extent *a, const struct pcache_extent *b);

void pcache_tree_init(struct pcache_tree *t, bool crc, mempool_t *pool);
void pcache_tree_clear(struct pcache_tree *t);
u32 pcache_tree_need(u32 inserts);
bool pcache_tree_prepare(struct pcache_tree *t, u32 inserts, gfp_t gfp);
void pcache_tree_insert(struct pcache_tree *t, const struct pcache_extent *e,
			struct pcache_delta *d);
void pcache_tree_cut(struct pcache_tree *t, sector_t sector, u32 sectors,
		     const struct pcache_extent *match, struct pcache_delta *d);
bool pcache_tree_clean(struct pcache_tree *t, const struct pcache_extent *e,
		       struct pcache_delta *d);
sector_t pcache_tree_discard(struct pcache_tree *t, sector_t at, sector_t end, u32 max,
			     struct pcache_delta *d);
void pcache_trees_prefetch(struct pcache_tree *const *t, const sector_t *sector, u32 nr);
bool pcache_tree_first(struct pcache_tree *t, sector_t sector, struct pcache_extent *e);
bool pcache_tree_look_up(struct pcache_tree *t, sector_t sector, sector_t end, bool use,
			 struct pcache_extent *e);
u32 pcache_tree_sectors(struct pcache_tree *t);
void pcache_walk_begin(struct pcache_walk *w, struct pcache_tree *t);
bool pcache_walk_next(struct pcache_walk *w, struct pcache_extent *e);
bool pcache_tree_is_hole(struct pcache_tree *t, sector_t sector, u32 sectors);
bool pcache_tree_find_used(struct pcache_tree *t, const struct pcache_extent *e, sector_t from,
			   struct pcache_extent *part);
bool pcache_tree_is_clean(struct pcache_tree *t, const struct pcache_extent *e);

int pcache_index_init(struct pcache *pc);
void pcache_index_exit(struct pcache *pc);
bool pcache_index_lock(struct pcache *pc, struct pcache_shard *sh, u32 inserts)
	__acquires(&sh->lock);
void pcache_index_lock_wait(struct pcache *pc, struct pcache_shard *sh, u32 inserts)
	__acquires(&sh->lock);
void pcache_index_insert(struct pcache *pc, struct pcache_shard *sh,
			 const struct pcache_extent *e);
void pcache_index_drop(struct pcache *pc, const struct pcache_extent *e, bool passed);
int pcache_index_forget_clean(struct pcache *pc);
void pcache_index_will_forget(struct pcache *pc, sector_t sector);
void pcache_index_clean(struct pcache *pc, const struct pcache_extent *e);
void pcache_index_clean_all(struct pcache *pc, struct pcache_tree *t);
bool pcache_index_discard(struct pcache *pc, sector_t sector, u32 sectors);

/*
 * segment.c: segments, their generations, data heads
 */

enum pcache_seg_use {
	PCACHE_SEG_FREE,
	PCACHE_SEG_DATA,
	PCACHE_SEG_LOG,
};

/**
 * struct pcache_segment - one segment
 * @refs: one for each key in the log that names it, for each reservation in it,
 *	  each reader, an open data head, and for being part of the log
 * @id: logical id
 * @media: where it is, mapped
 * @passed: refs of keys that key_tail passes in this pass of reclaim
 * @turned: sectors of it that were copied for a second turn; the reclaim work's
 * @bad: some of it could not be read (under pcache_segs.lock)
 * @use: what it holds (under pcache_segs.lock)
 * @link: on the list of free or dead segments
 * @gen: its generation; constant while it has refs
 * @gen_slots: where that is stored
 */
struct pcache_segment {
	atomic_t refs;
	u32 id;
	void *media;
	u32 passed;
	u32 turned;
	bool bad;
	enum pcache_seg_use use;
	struct list_head link;
	u64 gen;
	struct pcache_slots gen_slots;
};

/**
 * struct pcache_head - where the next data goes
 * @lock: protects all below
 * @seg: the open segment; PCACHE_NO_SEG: none
 * @next: sectors, first free one in its data area
 * @rooms: reservations that it gave and that are still held; not under @lock
 */
struct pcache_head {
	spinlock_t lock;
	u32 seg;
	u32 next;
	atomic_t rooms;
} ____cacheline_aligned_in_smp;

#define PCACHE_NO_SEG	U32_MAX
/* So many free segments are kept when bad data is logged again: to move the log on into. */
#define PCACHE_BAD_DATA_KEEP	1

/* Segments stand in chunks of so many, which stay where they are when the cache grows. */
#define PCACHE_CHUNK_SEGS	1024

/**
 * struct pcache_segs - all segments
 * @chunk: of PCACHE_CHUNK_SEGS segments each; those that are needed
 * @lock: protects the lists and what is counted, and the list of waiting writes
 * @free: can be given out
 * @dead: without refs; become free when their generation is raised
 * @nr_free: how many are free
 * @nr_bad: how many have data that could not be read, since the attach
 * @reserved: free segments that only the log may take
 * @heads: data heads
 * @nr_heads: how many
 * @waiting: writes without room, in order of arrival
 */
struct pcache_segs {
	struct pcache_segment **chunk;
	spinlock_t lock;
	struct list_head free;
	struct list_head dead;
	u32 nr_free;
	u32 nr_bad;
	u32 reserved;
	struct pcache_head *heads;
	u32 nr_heads;
	struct list_head waiting;
};

/**
 * struct pcache_room - place for data, held by one ref of its segment
 * @seg: logical id
 * @off: sectors, in the data area
 * @sectors: how many
 * @head: whose segment it was
 */
struct pcache_room {
	struct pcache_head *head;
	u32 seg;
	u32 off;
	u32 sectors;
};

/* With so many bad segments, or one in eight of a small cache, the device is worn. */
#define PCACHE_WORN_SEGS	16
#define PCACHE_WORN_SEGS_MIN	4

u32 pcache_segs_all(const struct pcache *pc);
bool pcache_seg_read_info(void *media, struct pcache_slots *slots,
			  struct pcache_media_seg_info *info);
bool pcache_seg_note_bad(struct pcache *pc, u32 seg);
int pcache_segs_load(struct pcache *pc, const char **error);
int pcache_segs_make(struct pcache *pc, u32 from, u32 to, void *media);
int pcache_segs_read(struct pcache *pc, u32 from, u32 to);
void pcache_segs_publish(struct pcache *pc, u32 to);
void pcache_segs_exit(struct pcache *pc);
void pcache_segs_settle(struct pcache *pc);
void pcache_seg_put(struct pcache *pc, u32 seg, u32 refs);
bool pcache_room_get(struct pcache *pc, u32 sectors, struct pcache_room *room);
void pcache_room_put(struct pcache *pc, const struct pcache_room *room);
u32 pcache_seg_alloc_log(struct pcache *pc);
void *pcache_seg_unused_data(struct pcache *pc);
u32 pcache_segs_free_dead(struct pcache *pc);
void pcache_heads_close(struct pcache *pc);
bool pcache_heads_open(struct pcache *pc);
bool pcache_rooms_held(struct pcache *pc);
bool pcache_segs_few(struct pcache *pc);
bool pcache_segs_for_bad_data(struct pcache *pc);
u32 pcache_segs_used(struct pcache *pc);

/*
 * extent.c: the data of extents
 */

/* A CRC is taken of so much at once. */
#define PCACHE_PIECE_BYTES	4096
#define PCACHE_PIECE_SECTORS	(PCACHE_PIECE_BYTES >> SECTOR_SHIFT)

/**
 * struct pcache_bounce - a CPU's memory for data that nobody else may change
 * @data: whoever has @lock has it
 * @lock: nobody sleeps with it; it is innermost
 */
struct pcache_bounce {
	u8 data[PCACHE_PIECE_BYTES];
	local_lock_t lock;
};

/* This CPU's, until pcache_bounce_put(); nothing may sleep meanwhile. */
static inline u8 *pcache_bounce_get(struct pcache_bounce __percpu *bounce)
{
	local_lock(&bounce->lock);
	return this_cpu_ptr(bounce)->data;
}

static inline void pcache_bounce_put(struct pcache_bounce __percpu *bounce)
{
	local_unlock(&bounce->lock);
}

int pcache_extent_init(struct pcache *pc);
void pcache_extent_exit(struct pcache *pc);
int pcache_extent_copy_to_bio(struct pcache *pc, const struct pcache_extent *e,
			      struct bio *bio, struct bvec_iter iter);
u32 pcache_extent_crc(struct pcache *pc, const struct pcache_extent *e);
int pcache_extent_copy_to_own(struct pcache *pc, const struct pcache_extent *e,
			      struct bio_vec *vec);
int pcache_extent_copy_to_room(struct pcache *pc, const struct pcache_extent *e,
			       const struct pcache_room *room, u32 *crcs);
bool pcache_extent_is_good(struct pcache *pc, const struct pcache_extent *e);
void pcache_extent_count_error(struct pcache *pc, const struct pcache_extent *e, int err);

/*
 * copy.c: how data is stored
 */

void pcache_copy_store(const struct pcache *pc, void *dst, void *src, u32 bytes);
void pcache_copy_measure(struct pcache *pc);
void pcache_copy_choose(struct pcache *pc, enum pcache_copy copy);

/*
 * kset.c: one kset, in memory and on the medium
 */

/**
 * struct pcache_kset - a kset in memory
 * @link: on the list of free or sealed ones
 * @seq: counts ksets from the attach on, in the order in which they are committed
 * @nr_keys: how many
 * @sectors: that they name
 * @epoch: it is the first of an epoch
 * @head: as on the medium; the keys follow directly
 * @keys: as on the medium
 */
struct pcache_kset {
	struct list_head link;
	u64 seq;
	u32 nr_keys;
	u32 sectors;
	bool epoch;
	struct pcache_media_kset head;
	struct pcache_media_key keys[PCACHE_KSET_KEYS];
};

enum pcache_kset_kind {
	PCACHE_KSET_ORDINARY,
	PCACHE_KSET_IS_LAST,
	PCACHE_KSET_ZERO,	/* 24 zero bytes */
	PCACHE_KSET_TORN,	/* something, but no kset */
	PCACHE_KSET_ALIEN,	/* whole, but it says what is not allowed */
	PCACHE_KSET_UNREADABLE,
};

enum pcache_key_verdict {
	PCACHE_KEY_GOOD,
	PCACHE_KEY_STALE,	/* of an old generation */
	PCACHE_KEY_BAD,
};

enum pcache_kset_kind pcache_kset_read(struct pcache *pc, const struct pcache_pos *pos,
				       struct pcache_kset *ks);
void pcache_kset_next(const struct pcache_kset *ks, enum pcache_kset_kind kind,
		      struct pcache_pos *pos);
u64 pcache_kset_number(const struct pcache_kset *ks);
u64 pcache_number_after(u64 number);
u64 pcache_number_behind_mainline(const struct pcache_kset *ks, const struct pcache_pos *next);
void pcache_key_encode(struct pcache *pc, const struct pcache_extent *e,
		       struct pcache_media_key *key);
enum pcache_key_verdict pcache_key_decode(struct pcache *pc, const struct pcache_media_key *key,
					  struct pcache_extent *e);

/*
 * age.c: when ksets were committed
 */

#define PCACHE_AGE_SHIFT	7
#define PCACHE_AGE_MARKS	(1 << PCACHE_AGE_SHIFT)

/**
 * struct pcache_age - when ksets were committed
 * @nr: how many marks, at least one
 * @mark: in the order of their ords, which is that of their times
 */
struct pcache_age {
	u32 nr;
	struct {
		u64 ord;
		u64 time;
	} mark[PCACHE_AGE_MARKS];
};

void pcache_age_init(struct pcache_age *a, u64 now);
void pcache_age_note(struct pcache_age *a, u64 ord, u64 oldest, u64 now);
u64 pcache_age_of(const struct pcache_age *a, u64 ord, u64 now);
u64 pcache_age_young(const struct pcache_age *a, u64 span, u64 now, u64 *left);

/*
 * journal.c: the log's head; commits; the tails
 */

/**
 * struct pcache_waiter - someone who waits for the log to reach a place
 * @link: on a list of waiters
 * @target: ord that dirty_tail, or for reclaim key_tail, must reach
 * @epoch: journal: what it waits for ends an epoch
 * @sector: write-back: of which sectors it wants to know, the first one
 * @end: write-back: and the one behind the last
 * @from: write-back: ord; no key of its own stands before
 * @run: write-back: the work ran so many times before the wait began, or was running
 * @give_up: write-back: an error of the backing device ends the wait
 * @failed: write-back: some of these sectors could not be written, or not be read
 * @done: called without locks, in process context, once; may sleep no longer
 *	  than a completion may
 */
struct pcache_waiter {
	struct list_head link;
	u64 target;
	bool epoch;
	sector_t sector;
	sector_t end;
	u64 from;
	u64 run;
	bool give_up;
	bool failed;
	void (*done)(struct pcache_waiter *w, int err);
};

/**
 * struct pcache_places - where the log's places are
 * @key_tail: where the log begins
 * @dirty_tail: keys before it are clean
 * @last: the last kset
 * @durable: behind it; nothing from here on is durable yet
 * @keys: committed since the attach
 * @held_sectors: that keys from @dirty_tail on name
 * @settled: nothing that is dirty has been acknowledged
 */
struct pcache_places {
	struct pcache_pos key_tail;
	struct pcache_pos dirty_tail;
	struct pcache_pos last;
	struct pcache_pos durable;
	u64 keys;
	u64 held_sectors;
	bool settled;
};

/**
 * struct pcache_journal - the log
 * @lock: protects all up to @last_is_log_only
 * @open: keys that no commit has taken yet
 * @sealed: full ksets, and what a round takes
 * @waiters: for a commit
 * @next_seq: of the kset after @open
 * @marks: how many ksets begin an epoch and are not durable yet
 * @aged: what is open is to be committed although nobody waits
 * @committing: somebody owns the head
 * @move_on_wanted: reclaim wants to own it for a moment
 * @key_tail: where the log begins; on the medium in both slots
 * @dirty_tail: keys before it are clean; on the medium in both slots
 * @last: the last durable kset
 * @durable: behind it
 * @durable_keys: how many have been committed since the attach
 * @held_sectors: that durable keys from @dirty_tail on name: only write-back frees them
 * @age: of ksets from dirty_tail on
 * @last_is_log_only: @last is a LAST, or there is no kset at all
 * @head: where the next kset goes; the owner's
 * @next_number: of the next kset; the owner's
 * @last_number: of the last kset, 0 for none or mainline's; the owner's
 * @own_spare: a kset for the owner
 * @stale_end: keys of an old generation stand before it only; the reclaim work's
 * @has_stale: there are such
 * @key_slots: key_tail on the medium; the reclaim work's
 * @dirty_slots: dirty_tail on the medium; the write-back work's
 * @kset_pool: of struct pcache_kset
 * @commit_work: commits what nobody flushes
 * @handover_work: goes on with the head when a caller has done enough rounds
 */
struct pcache_journal {
	spinlock_t lock;
	struct pcache_kset *open;
	struct list_head sealed;
	struct list_head waiters;
	u64 next_seq;
	u32 marks;
	bool aged;
	bool committing;
	bool move_on_wanted;
	struct pcache_pos key_tail;
	struct pcache_pos dirty_tail;
	struct pcache_pos last;
	struct pcache_pos durable;
	u64 durable_keys;
	u64 held_sectors;
	struct pcache_age age;
	bool last_is_log_only;
	struct pcache_pos head;
	u64 next_number;
	u64 last_number;
	struct pcache_kset *own_spare;
	struct pcache_pos stale_end;
	bool has_stale;
	struct pcache_slots key_slots;
	struct pcache_slots dirty_slots;
	mempool_t kset_pool;
	struct delayed_work commit_work;
	struct work_struct handover_work;
};

/* What logging may wait for. */
enum pcache_patience {
	PCACHE_WAITS_FOR_NOTHING,
	PCACHE_WAITS_FOR_KSETS,		/* commits free them, and need none */
	PCACHE_WAITS_FOR_INDEX,		/* and for memory, as pcache_index_lock_wait() does */
};

typedef bool (*pcache_log_check_fn)(struct pcache_shard *sh, const struct pcache_extent *keys,
				    u32 nr, void *arg);

int pcache_journal_init(struct pcache *pc);
void pcache_journal_exit(struct pcache *pc);
int pcache_journal_stop(struct pcache *pc);
bool pcache_journal_append(struct pcache *pc, const struct pcache_extent *keys, u32 nr,
			   struct pcache_kset **spare);
bool pcache_journal_end_epoch(struct pcache *pc);
void pcache_journal_flush(struct pcache *pc, struct pcache_waiter *w);
int pcache_journal_sync(struct pcache *pc);
bool pcache_journal_move_on(struct pcache *pc);
int pcache_log_extents(struct pcache *pc, struct pcache_shard *sh,
		       const struct pcache_extent *keys, u32 nr, enum pcache_patience patience,
		       pcache_log_check_fn check, void *arg);
void pcache_tail_store(struct pcache *pc, struct pcache_slots *slots,
		       const struct pcache_pos *pos);
void pcache_journal_places(struct pcache *pc, struct pcache_places *places);
u64 pcache_journal_dirty_seconds(struct pcache *pc);

/*
 * replay.c: the log, read at attach
 */

/**
 * struct pcache_damage - what replay found wrong
 * @found: something
 * @why: in words
 * @pos: where
 */
struct pcache_damage {
	bool found;
	const char *why;
	struct pcache_pos pos;
};

int pcache_replay(struct pcache *pc, const char **error);

/*
 * lanes.c: how replay fills the index
 */

struct pcache_lanes;

struct pcache_lanes *pcache_lanes_make(struct pcache *pc);
void pcache_lanes_free(struct pcache_lanes *lanes);
void pcache_lanes_add(struct pcache_lanes *lanes, const struct pcache_extent *e, bool forget);
void pcache_lanes_drain(struct pcache_lanes *lanes);

/*
 * super.c: super-block, cache_info, extension block; format, attach, detach
 */

/**
 * struct pcache_super - identity of the cache
 * @lock: for storing cache_info and the extension block, once the cache runs
 * @seg_total: of the super-block
 * @sb_flags: of the super-block
 * @info: cache_info as last read or written
 * @info_slots: where it is
 * @ext: extension block as last read or written
 * @ext_slots: where it is
 * @ext_valid: there is one, and it is this cache's
 * @mainline_was_here: there is no block, or mainline has attached since
 * @clean: the block's places are those of a clean detach, and still hold
 * @own_ord: ord of the own place that the block names; U64_MAX: it names none
 * @format: the medium has to be formatted at resume
 * @growing: a resize was cut short behind G3: the attach goes on with it
 * @list_ended: then, a segment was met both of whose copies have no link
 */
struct pcache_super {
	struct mutex lock;
	u32 seg_total;
	u32 sb_flags;
	struct pcache_media_info info;
	struct pcache_slots info_slots;
	struct pcache_media_ext ext;
	struct pcache_slots ext_slots;
	bool ext_valid;
	bool mainline_was_here;
	bool clean;
	u64 own_ord;
	bool format;
	bool growing;
	bool list_ended;
};

int pcache_super_load(struct pcache *pc, const char **error);
int pcache_super_check_line(struct pcache *pc, const struct pcache_options *o,
			    u64 backing_sectors, const char **error);
int pcache_super_plan_format(struct pcache *pc, const char **error);
void pcache_super_format(struct pcache *pc);
void pcache_super_attach(struct pcache *pc);
void pcache_super_detach(struct pcache *pc);
void pcache_super_forget_own_place(struct pcache *pc);
void pcache_super_format_segment(void *media, u32 next);
void pcache_super_store_options(struct pcache *pc);
void pcache_super_recall_options(struct pcache *pc);

/*
 * resize.c: a cache device that has grown
 */

int pcache_resize(struct pcache *pc);
bool pcache_resize_finish(struct pcache *pc);

/*
 * io.c: requests, writes, flushes, waiting for room
 */

/* What one step of a write or a fill copies at most, and how many keys that makes. */
#define PCACHE_PLAIN_KEY_SECTORS	512
#ifndef PCACHE_CRC_KEY_SECTORS
#define PCACHE_CRC_KEY_SECTORS		32	/* a multiple of the largest logical block */
#endif
#define PCACHE_CHUNK_KEYS		8

/**
 * struct pcache_request - a bio on its way through the cache
 * @pc: which
 * @bio: it; its range lies in one stretch
 * @iter: what of a write is still to be copied
 * @sector: that rest's first sector on the backing device; of a discard, how far it was
 *	    passed down
 * @link: on the list of waiting writes
 * @wait: which wait for room this is, of all there were
 * @waiter: for a commit, then for write-back
 * @begun_ns: when it came, by local_clock(); 0: it was through at once
 * @pending: parts of a read under way, and one for the submitter
 * @outcome: how it went so far; nobody changes it once @pending may become 0
 * @cut_off: a read of a stream so long that it fills nothing and is no use of what it hits
 * @status: first error of a part
 * @direct: on its shard's list of writes around the cache and discards
 * @direct_link: on that list
 * @direct_status: how the backing device ended it
 * @clone: what of it goes to the backing device
 */
struct pcache_request {
	struct pcache *pc;
	struct bio *bio;
	struct bvec_iter iter;
	sector_t sector;
	struct list_head link;
	u64 wait;
	struct pcache_waiter waiter;
	u64 begun_ns;
	atomic_t pending;
	enum pcache_outcome outcome;
	blk_status_t status;
	bool cut_off;
	bool direct;
	struct list_head direct_link;
	blk_status_t direct_status;
	struct bio clone;
};

/**
 * struct pcache_io - what requests share
 * @done_lock: irq-safe, for @done and @directs
 * @done: misses whose read has ended
 * @done_work: copies them to the reader and to the cache
 * @directs: writes around the cache, and parts of discards, that have ended
 * @direct_work: goes on with their requests
 * @space_work: goes on with the writes that wait for room
 * @bios: for reads of the backing device
 * @requeue: what a write that finds no room is ended with; 0: it waits
 * @no_fills: what the backing device has may be volatile
 * @discards_done: parts of discards that the backing device has ended
 * @discards_durable: so many had been, when a FLUSH began that has ended well
 * @waits: waits for room so far (under segs->lock)
 * @hopeless: up to this one nothing can make room (under segs->lock)
 * @no_room: a write has ended so, and none has found room since
 * @credit: sectors that writes may take while they are paced; less than 0: too many were
 * @paced: the first write that waits, waits for credit
 * @reads: of the backing device, under way
 */
struct pcache_io {
	spinlock_t done_lock;
	struct list_head done;
	struct work_struct done_work;
	struct list_head directs;
	struct work_struct direct_work;
	struct work_struct space_work;
	struct bio_set bios;
	blk_status_t requeue;
	bool no_fills;
	atomic_t discards_done;
	int discards_durable;
	u64 waits;
	u64 hopeless;
	bool no_room;
	atomic64_t credit;
	bool paced;
	atomic_t reads;
};

int pcache_io_init(struct pcache *pc);
void pcache_io_exit(struct pcache *pc);
void pcache_io_drain(struct pcache *pc);
void pcache_io_requeue(struct pcache *pc, blk_status_t status);
void pcache_io_space_freed(struct pcache *pc);
bool pcache_io_waits_for_clean(struct pcache *pc);
bool pcache_io_queued(struct pcache *pc);
bool pcache_io_waiting(struct pcache *pc);
void pcache_io_credit(struct pcache *pc, u32 sectors);
void pcache_io_pace_changed(struct pcache *pc);
u64 pcache_io_waits(struct pcache *pc);
u64 pcache_io_first_wait(struct pcache *pc);
void pcache_io_give_up(struct pcache *pc, u64 wait, u32 held_segs);
void pcache_submit(struct pcache *pc, struct pcache_request *rq, struct bio *bio);
void pcache_request_put(struct pcache_request *rq, blk_status_t status);
void pcache_io_write_cached(struct pcache_request *rq);
u32 pcache_key_sectors_max(const struct pcache *pc);
u32 pcache_chunk_sectors(const struct pcache *pc);
void pcache_room_copy_bio(struct pcache *pc, const struct pcache_room *room, struct bio *bio,
			  struct bvec_iter *iter, u32 *crcs);
u32 pcache_room_keys(struct pcache *pc, const struct pcache_room *room, sector_t sector,
		     bool clean, const u32 *crcs, struct pcache_extent *keys);

/*
 * read.c: hits, misses, fills
 */

int pcache_read_init(struct pcache *pc);
void pcache_read_exit(struct pcache *pc);
void pcache_read(struct pcache_request *rq);
void pcache_read_void_fills(struct pcache_shard *sh, sector_t sector, u32 sectors);

/*
 * streams.c: reads that go on where others ended
 */

#define PCACHE_STREAMS		64

/**
 * struct pcache_stream - reads, each of which began where the one before ended
 * @hash: on the list of those whose @next hashes to the same
 * @link: on the list of all
 * @next: the sector it would go on at
 * @sectors: how long it is
 */
struct pcache_stream {
	struct hlist_node hash;
	struct list_head link;
	sector_t next;
	u64 sectors;
};

/**
 * struct pcache_streams - those that are remembered
 * @lock: protects all of it
 * @seen: the one that was seen longest ago comes first
 * @hash: by the sector they would go on at
 * @stream: them
 */
struct pcache_streams {
	spinlock_t lock;
	struct list_head seen;
	struct hlist_head hash[PCACHE_STREAMS];
	struct pcache_stream stream[PCACHE_STREAMS];
};

void pcache_streams_init(struct pcache *pc);
bool pcache_stream_is_long(struct pcache *pc, sector_t sector, u32 sectors);

/*
 * direct.c: writes around the cache
 */

void pcache_direct_init(struct pcache *pc);
bool pcache_direct_in_way(struct pcache_shard *sh, sector_t sector, u32 sectors,
			  const struct pcache_request *own);
bool pcache_direct_is_blind(struct pcache *pc, struct pcache_shard *sh);
int pcache_direct_try(struct pcache_request *rq);
void pcache_direct_submit(struct pcache_request *rq);
void pcache_direct_ended(struct pcache_request *rq, blk_status_t status);
void pcache_direct_end(struct pcache_request *rq);

/*
 * discard.c: ranges that nobody needs any more
 */

void pcache_discard(struct pcache_request *rq);
void pcache_discard_ended(struct pcache_request *rq);
bool pcache_discards_durable(struct pcache *pc);
int pcache_flush_backing(struct pcache *pc);

/*
 * writeback.c: dirty data to the backing device
 */

/**
 * struct pcache_range - sectors of the backing device
 * @sector: first one
 * @end: the one behind the last
 */
struct pcache_range {
	sector_t sector;
	sector_t end;
};

#define PCACHE_FAILED_RANGES	64

struct pcache_wb_bio;

/**
 * struct pcache_writeback - dirty data on its way
 * @work: rounds, until there is nothing to do; delayed after an error
 * @due: wakes it when what is too young now is old enough
 * @waiters: for dirty_tail (under journal.lock)
 * @kset: the one that a round looks at
 * @leaves: for the trees below
 * @batch: what a round writes
 * @unreadable: what of it could not be read
 * @unwritten: what of it the backing device did not take
 * @discarded: what of one of these trees has been discarded
 * @pages: free ones, for data on its way
 * @nr_pages: how many
 * @all_pages: with those on their way
 * @bios: free ones
 * @nr_bios: how many
 * @ended: those that have come back with their pages (under @lock)
 * @lock: irq-safe, for @ended, @failed and @nr_failed
 * @failed: what bios covered that ended with an error
 * @nr_failed: how many did; may be more than @failed has room for
 * @in_flight: bios, and one for the submitter
 * @idle: completed when @in_flight becomes 0
 * @seen_ord: where the log ended when the last round began
 * @limited: some of that was too young for it
 * @own_keys: how many it has logged again
 * @own_room: how many more it may, before it looks for room once more
 * @lap_end: ord; since the log ended there, only unreadable data has been found
 * @lap_keys: keys that others had committed by then
 * @lapped: up to @lap_keys there is nothing but unreadable data
 * @settle_at: ord; what stands from here on was not acknowledged before it was clean.
 *	       U64_MAX: it was (under journal.lock)
 * @settled: dirty_tail is there (under journal.lock)
 * @end_ord: with the log ending there it could do nothing more (under journal.lock)
 * @end_run: that was in this run of the work (likewise)
 * @end_wait: and that for all waits for room up to this one (likewise)
 * @end_keep: unless more segments than this were free (likewise)
 * @needs_room: to log unreadable data again; freed segments wake it
 * @lap_wait: the last lap was for waits up to this one
 * @runs: how often the work has run (likewise)
 * @flush_wanted: a fill has waited for discards to be durable
 * @pace: for so many of 256 sectors that were written back a write may take 256ths of one.
 *	  0: writes are not paced (set under journal.lock)
 * @stalled: it makes no headway, so nobody is to wait for that
 * @turn: it waits here while reads of the backing device are under way
 * @pause_ms: the last one after an error; 0: there was none since it worked
 * @paused_at: ord; where the log ended that the try before the pause under way has seen.
 *	       U64_MAX: nothing but its time ends that, or there is none (under journal.lock)
 * @stop: no further round
 */
struct pcache_writeback {
	struct delayed_work work;
	struct delayed_work due;
	struct list_head waiters;
	struct pcache_kset *kset;
	mempool_t leaves;
	struct pcache_tree batch;
	struct pcache_tree unreadable;
	struct pcache_tree unwritten;
	struct pcache_tree discarded;
	struct page **pages;
	u32 nr_pages;
	u32 all_pages;
	struct pcache_wb_bio *bios;
	u32 nr_bios;
	struct pcache_wb_bio *ended;
	spinlock_t lock;
	struct pcache_range failed[PCACHE_FAILED_RANGES];
	u32 nr_failed;
	atomic_t in_flight;
	struct completion idle;
	u64 seen_ord;
	bool limited;
	u64 own_keys;
	u32 own_room;
	u64 lap_end;
	u64 lap_keys;
	u64 settle_at;
	bool settled;
	u64 end_ord;
	u64 end_run;
	u64 end_wait;
	u32 end_keep;
	bool needs_room;
	u64 lap_wait;
	u64 runs;
	u32 pace;
	bool stalled;
	wait_queue_head_t turn;
	u32 pause_ms;
	u64 paused_at;
	bool flush_wanted;
	bool lapped;
	bool stop;
};

int pcache_writeback_init(struct pcache *pc);
void pcache_writeback_exit(struct pcache *pc);
void pcache_writeback_start(struct pcache *pc);
void pcache_writeback_stop(struct pcache *pc);
void pcache_writeback_wake(struct pcache *pc);
void pcache_writeback_committed(struct pcache *pc);
void pcache_writeback_hurry(struct pcache *pc);
void pcache_writeback_end_pause(struct pcache *pc);
void pcache_writeback_set_pace(struct pcache *pc);
void pcache_writeback_take_turn(struct pcache *pc);
void pcache_writeback_marks_changed(struct pcache *pc);
void pcache_writeback_settle(struct pcache *pc, bool through);
bool pcache_writeback_settled(struct pcache *pc);
bool pcache_writeback_in_order(struct pcache *pc);
void pcache_writeback_want_flush(struct pcache *pc);
void pcache_writeback_give_up(struct pcache *pc, u64 ord, u64 run);
void pcache_writeback_wait(struct pcache *pc, struct pcache_waiter *w);
int pcache_writeback_flush(struct pcache *pc, bool give_up);

/*
 * reclaim.c: what leaves the cache
 */

/**
 * struct pcache_reclaim - reclaim
 * @work: one pass after another while there is need
 * @kset: the one that a pass looks at
 * @frees: segments that this pass will free, as far as it knows
 * @passing: keys have left the index that a power cut would bring back
 * @droppers: wait for key_tail (under journal.lock)
 * @drops: how many messages there are that do; nothing gets a second turn (likewise)
 * @head_awaited: whoever owns the log's head is to wake it
 * @rooms_awaited: who gives back the last room is to wake it
 * @stop: no further pass
 */
struct pcache_reclaim {
	struct work_struct work;
	struct pcache_kset *kset;
	struct list_head droppers;
	u32 drops;
	u32 frees;
	bool passing;
	bool head_awaited;
	bool rooms_awaited;
	bool stop;
};

int pcache_reclaim_init(struct pcache *pc);
void pcache_reclaim_exit(struct pcache *pc);
void pcache_reclaim_start(struct pcache *pc);
void pcache_reclaim_stop(struct pcache *pc);
void pcache_reclaim_wake(struct pcache *pc);
void pcache_reclaim_stale_prefix(struct pcache *pc);
bool pcache_reclaim_all_stale(struct pcache *pc);
int pcache_reclaim_drop(struct pcache *pc);

/*
 * turns.c: second turns
 */

void pcache_turn(struct pcache *pc, const struct pcache_extent *key);

/*
 * cache.c: the cache as a whole
 */

/**
 * struct pcache_config - what a host gives to pcache_create()
 * @name: for log lines; must outlive the cache
 * @media: the cache device, mapped; stays the host's
 * @media_bytes: its size
 * @backing: the backing device; stays the host's
 * @read_only: write to neither
 * @options: from the table line
 * @event: called in process context when status has changed; may be NULL
 * @grow: maps the cache device from a place on to its end, for as long as the cache is there,
 *	  unless there is not even a segment; gives its size of today. May be NULL
 * @host: handed to both
 */
struct pcache_config {
	const char *name;
	void *media;
	u64 media_bytes;
	struct block_device *backing;
	bool read_only;
	struct pcache_options options;
	void (*event)(void *host);
	int (*grow)(void *host, u64 from, void **media, u64 *device_bytes);
	void *host;
};

/**
 * struct pcache - one cache
 * @name: for log lines
 * @media: the cache device, mapped
 * @media_bytes: its size
 * @backing: the backing device
 * @backing_sectors: its size
 * @block_sectors: its logical block size
 * @read_only: the table's mode
 * @running: between resume and suspend
 * @mode: who may change it: pcache_set_mode() only
 * @cleaner: writes are done when they are clean
 * @flush_on_suspend: clean at suspend
 * @clock: what was used since its last turn gets a second one
 * @cutoff_sectors: longer streams of reads bypass the cache; 0: none does
 * @copy: how data is stored: the option
 * @copy_best: what "auto" comes to
 * @copy_measured: that is known
 * @copy_cached: what holds: whole pages go through the CPU's cache
 * @worn: errors of the cache device have piled up; stays so (set under segs.lock)
 * @state: who may change it: pcache_set_state() only
 * @n_segs: how many cache segments
 * @discarded: some of the index may be
 * @admin: messages, resume and suspend; cache_info and extension block
 * @state_work: sends the event for a change of state
 * @bounce: where data is while its CRC is taken
 */
struct pcache {
	const char *name;
	void *media;
	u64 media_bytes;
	struct block_device *backing;
	sector_t backing_sectors;
	u32 block_sectors;
	bool read_only;
	bool running;
	enum pcache_mode mode;
	bool cleaner;
	bool flush_on_suspend;
	bool data_crc;
	bool ordered;
	bool clock;
	u32 cutoff_sectors;
	u32 writeback_delay_ms;
	u32 dirty_low_percent;
	u32 dirty_high_percent;
	u32 gc_percent;
	enum pcache_copy copy;
	enum pcache_copy copy_best;
	bool copy_measured;
	bool copy_cached;
	bool worn;
	enum pcache_state state;
	struct pcache_damage damage;
	struct pcache_options options;
	u32 n_segs;
	struct mutex admin;
	struct pcache_super super;
	struct pcache_segs segs;
	struct pcache_shard *shards;
	u32 shard_bits;
	bool discarded;
	mempool_t leaf_pool;
	struct pcache_journal journal;
	struct pcache_io io;
	struct pcache_writeback wb;
	struct pcache_reclaim reclaim;
	struct pcache_streams streams;
	struct workqueue_struct *wq;
	struct workqueue_struct *wb_wq;
	struct workqueue_struct *log_wq;
	struct pcache_counters __percpu *counters;
	struct pcache_counters cleared;
	struct pcache_bounce __percpu *bounce;
	void (*event)(void *host);
	int (*grow)(void *host, u64 from, void **media, u64 *device_bytes);
	void *host;
	struct work_struct event_work;
};

struct pcache *pcache_create(const struct pcache_config *config, const char **error);
int pcache_reload_check(struct pcache *pc, const struct pcache_config *config,
			const char **error);
void pcache_reload(struct pcache *pc, const struct pcache_config *config);
void pcache_silence(struct pcache *pc);
bool pcache_may_go(struct pcache *pc, bool suspended);
int pcache_resume(struct pcache *pc);
void pcache_suspend(struct pcache *pc);
void pcache_destroy(struct pcache *pc);
void pcache_set_state(struct pcache *pc, enum pcache_state state, const char *why);
void pcache_wear_out(struct pcache *pc);
int pcache_set_mode(struct pcache *pc, enum pcache_mode mode);
void pcache_event(struct pcache *pc);
const char *pcache_state_name(enum pcache_state state);

/*
 * What every request needs, on its short way
 */

/**
 * pcache_seg() - A segment.
 * @pc: cache
 * @seg: logical id, checked
 */
static inline struct pcache_segment *pcache_seg(const struct pcache *pc, u32 seg)
{
	return &pc->segs.chunk[seg / PCACHE_CHUNK_SEGS][seg % PCACHE_CHUNK_SEGS];
}

/**
 * pcache_seg_data() - Where a place in a segment's data area is.
 * @pc: cache
 * @seg: logical id, checked
 * @off_bytes: in the data area
 */
static inline void *pcache_seg_data(struct pcache *pc, u32 seg, u32 off_bytes)
{
	return pcache_seg(pc, seg)->media + PCACHE_SEG_DATA_OFF + off_bytes;
}

/**
 * pcache_seg_get() - Take a ref of a segment that has one already.
 * @pc: cache
 * @seg: logical id
 */
static inline void pcache_seg_get(struct pcache *pc, u32 seg)
{
	atomic_inc(&pcache_seg(pc, seg)->refs);
}

/**
 * pcache_index_shard_nr() - Which shard a sector is in.
 * @pc: cache
 * @sector: on the backing device
 */
static inline u32 pcache_index_shard_nr(const struct pcache *pc, sector_t sector)
{
	return hash_64(sector / PCACHE_STRETCH_SECTORS, pc->shard_bits);
}

/**
 * pcache_index_shard() - The shard of a sector.
 * @pc: cache
 * @sector: on the backing device
 */
static inline struct pcache_shard *pcache_index_shard(struct pcache *pc, sector_t sector)
{
	return &pc->shards[pcache_index_shard_nr(pc, sector)];
}

/*
 * stats.c: counters and histograms
 */

int pcache_stats_init(struct pcache *pc);
void pcache_stats_exit(struct pcache *pc);
u64 pcache_stat(struct pcache *pc, enum pcache_stat stat);
void pcache_clear_stats(struct pcache *pc);
void pcache_reset_counters(struct pcache *pc);
u32 pcache_latency_bucket(u64 ns);
void pcache_count_request(const struct pcache_request *rq);
int pcache_print_stats(struct pcache *pc, char *result, unsigned int maxlen);

/* Is a write done only when the backing device has it? */
static inline bool pcache_mode_is_through(enum pcache_mode mode)
{
	return mode == PCACHE_WRITETHROUGH || mode == PCACHE_WRITEAROUND;
}

/* The mode that holds: with a worn cache device nothing new is to be left to it. */
static inline enum pcache_mode pcache_mode_now(const struct pcache *pc)
{
	return READ_ONCE(pc->worn) ? PCACHE_WRITEAROUND : READ_ONCE(pc->mode);
}

static inline void pcache_count(struct pcache *pc, enum pcache_stat stat, s64 n)
{
	this_cpu_add(pc->counters->n[stat], n);
}

/*
 * params.c: options, messages, status
 */

int pcache_parse_options(unsigned int argc, char **argv, struct pcache_options *options,
			 char *why, size_t why_bytes);
int pcache_message(struct pcache *pc, unsigned int argc, char **argv, char *result,
		   unsigned int maxlen);
int pcache_print_status(struct pcache *pc, char *result, unsigned int maxlen);
int pcache_print_options(struct pcache *pc, const struct pcache_options *line, bool live,
			 char *result, unsigned int maxlen);
int pcache_print_ima(struct pcache *pc, const struct pcache_options *line, bool live,
		     bool read_only, char *result, unsigned int maxlen);

#endif /* PCACHE_H */
