/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model of what Linux's own dm-pcache does with a cache device.
 *
 * It knows no numbers, no epochs, no extension block. mainline_attach() reads an
 * image as that does; what follows tells what it would read, write back and free.
 * mainline_begin() is a session that also stores, through the caller's functions, so
 * that a power cut may fall between any two stores. It never reads but through
 * img->media, where the caller has to apply each store at once.
 *
 * A struct mainline is zeroed before its first use, and may be used again and again;
 * mainline_free() drops its memory.
 */
#ifndef SIM_MAINLINE_H
#define SIM_MAINLINE_H

#include "checker.h"
#include "format.h"

#define MAINLINE_BUFFERS	8

/* Writes to the backing device; @from is in the image. */
typedef void (*mainline_write_fn)(void *data, u64 sector, u32 sectors, const u8 *from);

/**
 * struct mainline_ops - how a session stores
 * @store: to the medium; durable, in 8-byte words and any order, at the next fence
 * @fence: all that was stored is durable
 * @write: to the backing device
 * @flush: the backing device's FLUSH
 */
struct mainline_ops {
	void (*store)(void *data, u64 off, const void *src, u64 bytes);
	void (*fence)(void *data);
	mainline_write_fn write;
	void (*flush)(void *data);
};

struct mainline_place {
	u32 seg;
	u32 off;
};

/* One of the two tails. */
struct mainline_tail {
	struct mainline_place at;
	u64 seq;
	u32 slot;		/* the next write goes here */
};

struct mainline_segment {
	u64 gen;
	u64 gen_seq;
	u32 gen_slot;
	u32 phys;
	s32 refs;
	bool used;
};

/* What its index has, oldest first; one that is overwritten stays. */
struct mainline_key {
	u64 off;
	u64 gen;
	u64 kset;		/* which one of the log, counted from attach; ~0: none yet */
	u32 len;
	u32 flags;
	u32 seg;
	u32 seg_off;
};

/* Keys that wait for their kset. */
struct mainline_buffer {
	struct pcache_media_kset kset;
	struct pcache_media_key keys[PCACHE_KSET_KEYS];
};

/**
 * struct mainline - its state
 *
 * In, before attach:
 * @nr_buffers: one for each CPU; 0: 1. A stretch of 4 MiB always uses the same
 * @keeps_refs: a stale key has a reference of its segment, as in its older versions. Newer
 *	ones take none, but give one back when they reclaim the key: they miscount
 * @stack: bytes 5 to 7 of the headers of tails and generations, which it does not set; 0 where
 *	the kernel clears its stack
 *
 * Out:
 * @error: why attach is refused, or what is wrong
 * @data_crc: keys have CRCs
 * @n_segs: segments
 * @tails: key, dirty
 * @head: where the log ends
 * @nr_ksets: ordinary ksets that it has seen since attach, or made
 * @dirty_kset: keys of this one and of later ones are dirty
 * @dirty_met: dirty_tail is in the log
 * @keys: see there
 * @nr_stale: keys of an old generation at attach
 */
struct mainline {
	u32 nr_buffers;
	bool keeps_refs;
	u32 stack;

	char error[200];
	bool data_crc;
	u32 n_segs;
	struct mainline_tail tails[2];
	struct mainline_place head;
	u64 nr_ksets;
	u64 dirty_kset;
	bool dirty_met;
	struct mainline_key *keys;
	u32 nr_keys;
	u32 nr_stale;

	/* its own */
	const struct checker_image *img;
	const struct mainline_ops *ops;
	void *data;
	u32 seg_num;
	struct pcache_media_info info;
	u32 info_slot;
	struct mainline_segment *segs;
	u32 segs_room;
	u32 keys_room;
	u32 last_seg;
	struct mainline_place data_head;	/* seg ~0: none */
	struct mainline_buffer buffers[MAINLINE_BUFFERS];
};

/**
 * mainline_attach() - Read an image, as Linux's own does when a table is loaded.
 * @m: the model
 * @img: the image; it has to stay
 *
 * With CRCs of data the data of each key is verified.
 *
 * Return: false: it refuses; @m->error says why.
 */
bool mainline_attach(struct mainline *m, const struct checker_image *img);

/**
 * mainline_places() - Where it would read each sector.
 * @m: attached
 * @first_sector: of the window
 * @nr_sectors: how many
 * @places: as the checker's
 */
void mainline_places(const struct mainline *m, u64 first_sector, u32 nr_sectors,
		     struct checker_place *places);

/**
 * mainline_writeback() - All that it would write back, in its order. Nothing is stored.
 * @m: attached
 * @write: called for each write; NULL: only count
 * @data: for @write
 *
 * Return: number of writes.
 */
u32 mainline_writeback(struct mainline *m, mainline_write_fn write, void *data);

/**
 * mainline_reclaim() - Reclaim all that is clean, in thought. Nothing is stored.
 * @m: attached; it must be attached anew afterwards
 *
 * Return: false: it would free a segment that a key in its log still names, or that the log
 * needs, count a reference too few, or pass dirty_tail; @m->error says which.
 */
bool mainline_reclaim(struct mainline *m);

/**
 * mainline_format() - Make a cache of the whole device, as it does.
 * @m: the model
 * @img: the image, whose super-block has no magic
 * @ops: how to store
 * @data: for @ops
 * @data_crc: keys have CRCs
 */
void mainline_format(struct mainline *m, const struct checker_image *img,
		     const struct mainline_ops *ops, void *data, bool data_crc);

/**
 * mainline_begin() - Attach for a session: also mark the cache as used.
 * @m: the model
 * @img: the image
 * @ops: how to store
 * @data: for @ops
 *
 * Return: as mainline_attach().
 */
bool mainline_begin(struct mainline *m, const struct checker_image *img,
		    const struct mainline_ops *ops, void *data);

/*
 * Steps of a session, each as Linux's own does it.
 */

/* A write; it is in the log after mainline_commit(). False: no room; a part may be done. */
bool mainline_step_write(struct mainline *m, u64 sector, u32 sectors, const void *data);
/* The same for what a read has brought from the backing device and was not cached. */
bool mainline_step_fill(struct mainline *m, u64 sector, u32 sectors, const void *data);
/* What a FLUSH does: all keys into the log. False: no room. */
bool mainline_commit(struct mainline *m);
/* Writes the kset at dirty_tail back, and moves dirty_tail. False: nothing is dirty. */
bool mainline_step_writeback(struct mainline *m);
/*
 * Reclaims the kset at key_tail, whatever gc_percent says. False: nothing is clean, or
 * data is not as its CRC says.
 */
bool mainline_step_reclaim(struct mainline *m);
/* How many segments are free. */
u32 mainline_free_segs(const struct mainline *m);

void mainline_free(struct mainline *m);

#endif
