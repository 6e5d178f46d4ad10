/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Media with everything on them: a log that has turned over often and stands in several
 * segments, clean and dirty keys; cleanly detached, or left by a power cut.
 */
#ifndef FUZZ_SAMPLE_H
#define FUZZ_SAMPLE_H

#include <linux/types.h>

#define SAMPLE_SECTORS	128
/* The window lies across the end of a stretch. */
#define SAMPLE_FIRST	(8192ULL - SAMPLE_SECTORS / 2)
#define SAMPLE_KSETS	600
#define SAMPLE_OLDER	24
#define SAMPLE_TAILS	600
#define TAILS_BYTES	64
#define NO_WRITE	U32_MAX

/**
 * struct sample_kset - where a kset of the log stands
 * @off: on the medium
 * @seg: logical id
 * @seg_off: in the data area
 * @keys: how many; 0: LAST
 */
struct sample_kset {
	u64 off;
	u32 seg;
	u32 seg_off;
	u32 keys;
};

enum sample_load {
	SAMPLE_BLANK,		/* zeroes */
	SAMPLE_EMPTY,		/* just formatted */
	SAMPLE_LIGHT,		/* some ksets, clean and dirty */
	SAMPLE_FULL,		/* see above */
};

/**
 * struct sample - a populated medium
 * @load: what is on it
 * @cut_after: points after which the power goes; 0: as @detached says
 * @segs: segments
 * @data_crc: keys have CRCs
 * @detached: cleanly; otherwise the power went
 * @turns: sessions before the last one
 * @seed: of its load
 *
 * @media: the medium
 * @bytes: its size
 * @disk: content of the window's sectors on the backing device
 * @older: the medium at earlier moments, the oldest first
 * @nr_older: how many
 * @older_tails: the tails' 64 bytes after each FLUSH of the last session
 * @nr_older_tails: how many; no two that follow each other are the same
 * @ksets: of the log, in its order
 * @nr_ksets: how many
 * @end: where the log ends, on the medium
 * @nr_writes: numbers of writes are below it
 */
struct sample {
	enum sample_load load;
	u32 cut_after;
	u32 segs;
	bool data_crc;
	bool detached;
	u32 turns;
	u64 seed;

	u8 *media;
	u64 bytes;
	u8 disk[SAMPLE_SECTORS][512];
	u8 *older[SAMPLE_OLDER];
	u32 nr_older;
	u8 older_tails[SAMPLE_TAILS][TAILS_BYTES];
	u32 nr_older_tails;
	struct sample_kset ksets[SAMPLE_KSETS];
	u32 nr_ksets;
	u64 end;
	u32 nr_writes;
};

u64 sample_bytes(u32 segs);
/* The table's line, with these options behind the devices. */
void sample_table(char *line, size_t bytes, const char *options);
/* Makes it; aborts if the engine or the medium is not as it has to be. */
void sample_make(struct sample *s);
/* Puts both devices into the sample's state. */
void sample_load(const struct sample *s);
/* Reads the log of an image from a place to its end into @ksets. */
void sample_find_ksets(struct sample *s, const u32 key_tail[2], const u32 end[2]);
/* The number of the write that a sector's content is of; NO_WRITE: of none. */
u32 sample_write_of(const void *buf, u64 sector);

#endif
