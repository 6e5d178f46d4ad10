// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each sector may hold.
 *
 * Every write has a number, and each of its sectors is filled with words that follow
 * from the number and the sector: so what is read names the write that it came from,
 * and a mixture is seen.  For each write the oracle keeps when it began, when it
 * ended, and from when on it is durable (a FLUSH that began after its end has ended,
 * or it had FUA and has ended).  Then, for a sector:
 *
 * - A read that began at B and ended at E may give a write that began before E, unless
 *   another one surely followed it before B: one that began after the first had ended,
 *   and had itself ended before B.
 * - After a power cut it may hold any write, acknowledged or not, unless a durable one
 *   surely followed it.  What is then read becomes durable; all else is lost.
 * - Once a read met no write under way, later reads give the same until the next write.
 *   And what that showed to be the last of several writes of the same time is the last for
 *   ever: the others are not read any more, nor found after a cut once it is durable.
 * - A write whose buffer is changed while it is under way is two writes of the same time:
 *   each sector holds the one or the other, and what is seen of it first.
 * - The backing device alone, in the order that is promised: if it holds a write that
 *   began at X, it holds nothing that was surely followed by a write which was durable
 *   before X.
 * - What was durable at a moment when nothing acknowledged was in the cache alone, is on
 *   the backing device or followed there by a later write, ever after.
 * - From the begin of a discard until a write that surely follows it, the sector may hold
 *   any write that no power cut has taken away, or zeroes, and another one at each look; a
 *   power cut that takes such a write brings that back.  The backing device alone may lack
 *   what a discard may have followed; but then it is that of a moment after the discard's
 *   begin: it has all that was durable before.
 * - A write of zeroes has no number.  Zeroes are the one of them that fits best.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <shim/sim.h>

#include "oracle.h"

#define MAX_WRITES 20000
#define MAX_ENTRIES 200000
#define NEVER U64_MAX
#define NONE U32_MAX
#define WORDS (SECTOR_SIZE / 8)
#define MIX 0x9e3779b97f4a7c15ULL

struct write {
	u64 sector;
	u32 sectors;
	u64 begin, end, durable;
	u32 again_of;		/* the write whose buffer was changed to this; or itself */
	bool failed;
	bool zeroes;		/* of zeroes, without a number */
	bool discard;		/* none: what is there is not needed any more */
};

/* One sector of one write. */
struct entry {
	u32 write;
	u32 older;		/* entry of the same sector */
	u32 beaten_by;		/* entry that a quiet read gave instead; NONE: no such read */
	u64 beaten_at;
	u64 kept;		/* when a power cut left it, and so made it durable */
	bool lost;		/* by a power cut */
	bool dead;		/* and surely newer than what was found then */
};

struct sector {
	u32 newest;		/* entry */
	u32 seen;		/* entry that a quiet read gave; NONE: no such read */
	u64 seen_at;
	bool unsure;		/* it could not be read after the last power cut */
	bool discarded;		/* ever */
};

/* An entry that a content of the backing device was found to be of, and that is not dead. */
struct known_content {
	u64 id;
	u64 begin;		/* of the write */
	u32 again_of;
	u32 entry;		/* NONE: nothing was looked at */
};

#define KNOWN 2			/* of a sector: the volatile one and the durable one */

static struct {
	u64 first;
	u32 sectors;
	u32 block;
	u64 now;
	u64 mix[WORDS];		/* what word i differs by from the first */
	u64 on_disk;		/* what was durable by then, is on the backing device */
	struct write write[MAX_WRITES];
	u32 nr_writes;
	struct entry entry[MAX_ENTRIES];
	u32 nr_entries;
	struct sector sector[ORACLE_MAX_SECTORS];
	struct known_content known[ORACLE_MAX_SECTORS][KNOWN];
	u32 open[MAX_WRITES];	/* writes that are not durable and did not fail */
	u32 nr_open;
	char error[300];
} o;

static struct sector *sector_at(u64 sector)
{
	return &o.sector[sector - o.first];
}

static struct write *write_of(const struct entry *e)
{
	return &o.write[e->write];
}

static void add_entry(u64 sector, u32 write)
{
	struct sector *s = sector_at(sector);

	if (o.nr_entries == MAX_ENTRIES) {
		fprintf(stderr, "oracle: too many writes\n");
		abort();
	}
	o.entry[o.nr_entries] = (struct entry) {
		.write = write, .older = s->newest, .beaten_by = NONE, .kept = NEVER,
	};
	s->newest = o.nr_entries++;
	s->seen = NONE;
}

static void forget_content(void)
{
	for (u32 i = 0; i < o.sectors; i++)
		for (u32 k = 0; k < KNOWN; k++)
			o.known[i][k].entry = NONE;
}

void oracle_new(u64 first_sector, u32 sectors)
{
	o.first = first_sector;
	o.sectors = sectors;
	o.block = 1;
	o.now = 1;
	for (u32 i = 0; i < WORDS; i++)
		o.mix[i] = i * MIX;
	o.on_disk = 0;
	o.nr_entries = 0;
	o.nr_open = 0;
	o.nr_writes = 1;
	o.write[0] = (struct write) { .sector = first_sector, .sectors = sectors, .zeroes = true };
	for (u32 i = 0; i < sectors; i++) {
		o.sector[i].newest = NONE;
		o.sector[i].unsure = false;
		o.sector[i].discarded = false;
		add_entry(first_sector + i, 0);
	}
	forget_content();
}

void oracle_set_block(u32 sectors)
{
	o.block = sectors;
}

struct saved {
	u64 now, on_disk;
	u32 nr_writes, nr_entries, nr_open;
	char data[];
};

static void *put(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return to + bytes;
}

void *oracle_save(void)
{
	struct saved *s = malloc(sizeof(*s) + o.nr_writes * sizeof(o.write[0]) +
				 o.nr_entries * sizeof(o.entry[0]) +
				 o.nr_open * sizeof(o.open[0]) + o.sectors * sizeof(o.sector[0]));
	void *p = s->data;

	*s = (struct saved) {
		.now = o.now, .on_disk = o.on_disk, .nr_writes = o.nr_writes, .nr_entries = o.nr_entries,
		.nr_open = o.nr_open,
	};
	p = put(p, o.write, o.nr_writes * sizeof(o.write[0]));
	p = put(p, o.entry, o.nr_entries * sizeof(o.entry[0]));
	p = put(p, o.open, o.nr_open * sizeof(o.open[0]));
	put(p, o.sector, o.sectors * sizeof(o.sector[0]));
	return s;
}

static const void *get(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	return from + bytes;
}

void oracle_load(const void *saved)
{
	const struct saved *s = saved;
	const void *p = s->data;

	o.now = s->now;
	o.on_disk = s->on_disk;
	o.nr_writes = s->nr_writes;
	o.nr_entries = s->nr_entries;
	o.nr_open = s->nr_open;
	p = get(o.write, p, o.nr_writes * sizeof(o.write[0]));
	p = get(o.entry, p, o.nr_entries * sizeof(o.entry[0]));
	p = get(o.open, p, o.nr_open * sizeof(o.open[0]));
	get(o.sector, p, o.sectors * sizeof(o.sector[0]));
	forget_content();
}

/* Content */

static u64 first_word(u32 write, u64 sector)
{
	return (u64)write << 32 | (u32)sector;
}

/* Four words at a time, wherever they lie. */
typedef u64 words __attribute__((__vector_size__(32), __aligned__(8)));

__attribute__((target_clones("avx2", "default")))
static void fill_sector(void *buf, u64 first)
{
	const words *mix = (const words *)o.mix;
	words *p = buf;

	for (u32 i = 0; i < WORDS / 4; i++)
		p[i] = mix[i] ^ first;
}

void oracle_fill(void *buf, u32 write, u64 sector, u32 sectors)
{
	for (u32 i = 0; i < sectors; i++)
		fill_sector(buf + i * SECTOR_SIZE, first_word(write, sector + i));
}

static bool is_zero(const u64 *p)
{
	static const u64 zeroes[WORDS];

	return !memcmp(p, zeroes, sizeof(zeroes));
}

/* Do all words of a sector follow from the first? */
__attribute__((target_clones("avx2", "default")))
static bool is_whole(const void *buf)
{
	const words *p = buf, *mix = (const words *)o.mix;
	words first = p[0][0] ^ (words) { }, wrong = { }, more = { };

	for (u32 i = 0; i < WORDS / 4; i += 2) {
		wrong |= p[i] ^ first ^ mix[i];
		more |= p[i + 1] ^ first ^ mix[i + 1];
	}
	wrong |= more;
	return !(wrong[0] | wrong[1] | wrong[2] | wrong[3]);
}

/* The number of the write that a sector's content is of; NONE: it is of none. */
static u32 content_of(const void *buf, u64 sector)
{
	const u64 *p = buf;
	u64 word = p[0];

	if ((u32)word == (u32)sector && word >> 32 && word >> 32 < o.nr_writes && is_whole(p))
		return word >> 32;
	return is_zero(p) ? 0 : NONE;
}

static const char *describe(const void *buf)
{
	static char text[120];
	const u64 *p = buf;
	u32 i;

	for (i = 1; i < WORDS && (p[i] ^ p[0]) == i * MIX; i++)
		;
	if (is_zero(p))
		return "zeroes";
	snprintf(text, sizeof(text), "%swrite %u of sector %u", i < WORDS ? "torn: " : "",
		 (u32)(p[0] >> 32), (u32)p[0]);
	if (i < WORDS)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 ", from word %u on write %u of sector %u", i,
			 (u32)((p[i] ^ (i * MIX)) >> 32), (u32)(p[i] ^ (i * MIX)));
	return text;
}

static const char *wrong(const char *what, const void *buf, u64 sector, const char *why)
{
	snprintf(o.error, sizeof(o.error), "%s, sector %llu: %s; %s", what,
		 (unsigned long long)sector, describe(buf), why);
	return o.error;
}

static bool is_discard(const struct entry *e)
{
	return write_of(e)->discard;
}

/* Has a sector this content by that write? */
static bool is_of(const struct entry *e, u32 content)
{
	return e->write == content || (content == 0 && write_of(e)->zeroes);
}

static u32 content_number(const struct entry *e)
{
	return write_of(e)->zeroes ? 0 : e->write;
}

/* The newest entry from entry @i on that has this content. */
static struct entry *next_of(u32 i, u32 content)
{
	for (; i != NONE; i = o.entry[i].older)
		if (is_of(&o.entry[i], content))
			return &o.entry[i];
	return NULL;
}

static struct entry *find(u64 sector, u32 content)
{
	return next_of(sector_at(sector)->newest, content);
}

/* Is each block that begins in @buf of one write? What is of none has been seen before. */
static const char *blocks_whole(const char *what, const void *buf, u64 sector, u32 sectors)
{
	static char why[80];
	u32 write = NONE;

	for (u32 i = 0; o.block > 1 && i < sectors; i++) {
		u32 this = o.write[content_of(buf + i * SECTOR_SIZE, sector + i)].again_of;

		if ((sector + i - o.first) % o.block && write != NONE && this != write) {
			snprintf(why, sizeof(why), "the sector before, in the same block, is of write %u",
				 write);
			return wrong(what, buf + i * SECTOR_SIZE, sector + i, why);
		}
		write = this;
	}
	return NULL;
}

/* Writes and flushes */

u64 oracle_now(void)
{
	return ++o.now;
}

u32 oracle_write_begin(u64 sector, u32 sectors)
{
	u32 write = o.nr_writes++;

	if (write == MAX_WRITES) {
		fprintf(stderr, "oracle: too many writes\n");
		abort();
	}
	o.write[write] = (struct write) {
		.sector = sector, .sectors = sectors, .begin = ++o.now, .end = NEVER,
		.durable = NEVER, .again_of = write,
	};
	for (u32 i = 0; i < sectors; i++)
		add_entry(sector + i, write);
	o.open[o.nr_open++] = write;
	return write;
}

u32 oracle_zeroes_begin(u64 sector, u32 sectors)
{
	u32 write = oracle_write_begin(sector, sectors);

	o.write[write].zeroes = true;
	return write;
}

u32 oracle_discard_begin(u64 sector, u32 sectors)
{
	u32 write = oracle_write_begin(sector, sectors);

	o.write[write].discard = true;
	for (u32 i = 0; i < sectors; i++)
		sector_at(sector + i)->discarded = true;
	return write;
}

u32 oracle_write_again(u32 write)
{
	u32 again = oracle_write_begin(o.write[write].sector, o.write[write].sectors);

	/* Neither surely follows what the other one does not. */
	o.write[again].begin = o.write[write].begin;
	o.write[again].again_of = write;
	return again;
}

static void close_write(u32 write)
{
	for (u32 i = 0; i < o.nr_open; i++)
		if (o.open[i] == write) {
			o.open[i] = o.open[--o.nr_open];
			return;
		}
}

void oracle_write_end(u32 write, bool failed, bool fua)
{
	struct write *w = &o.write[write];

	w->end = ++o.now;
	w->failed = failed;
	if (fua && !failed)
		w->durable = w->end;
	if (fua || failed || w->discard)
		close_write(write);
}

void oracle_flush_end(u64 begin)
{
	u64 now = ++o.now;

	for (u32 i = 0; i < o.nr_open; ) {
		struct write *w = &o.write[o.open[i]];

		if (w->end > begin) {
			i++;
			continue;
		}
		w->durable = now;
		o.open[i] = o.open[--o.nr_open];
	}
}

/* Reads */

static u64 durable_at(const struct entry *e)
{
	return min(write_of(e)->durable, e->kept);
}

/* It may not have been done. */
static bool is_doubtful(const struct entry *e)
{
	return write_of(e)->failed && e->kept == NEVER;
}

/*
 * Did another write, over by @time (by @durable: durable), surely follow this one? None did
 * that is older in the list: when that began, this one had not ended.
 */
static const struct write *follower(const struct sector *s, const struct entry *e, u64 time,
				    bool durable)
{
	u64 end = write_of(e)->end;

	for (u32 i = s->newest; &o.entry[i] != e; i = o.entry[i].older) {
		const struct entry *other = &o.entry[i];
		const struct write *w = write_of(other);

		if (w->begin < end || other->lost || is_doubtful(other) || is_discard(other))
			continue;
		if ((durable ? durable_at(other) : w->end) <= time)
			return w;
	}
	return NULL;
}

/* Is there a discard that no write, over by @time (by @durable: durable), surely followed? */
static bool is_undefined(const struct sector *s, u64 time, bool durable)
{
	u64 begin = 0;

	for (u32 i = s->newest; s->discarded && i != NONE; i = o.entry[i].older) {
		const struct entry *e = &o.entry[i];

		if (is_discard(e) && write_of(e)->end > begin)
			return true;
		if (!is_discard(e) && !e->lost && !is_doubtful(e) &&
		    (durable ? durable_at(e) : write_of(e)->end) <= time)
			begin = max(begin, write_of(e)->begin);
	}
	return false;
}

/* Has a quiet read shown, by @time or of what is durable, that another one was the last? */
static const char *beaten(const struct entry *e, u64 time, bool durable)
{
	static char text[80];
	const struct entry *w;

	if (e->beaten_by == NONE)
		return NULL;
	w = &o.entry[e->beaten_by];
	if (w->lost || is_doubtful(w) || (durable ? durable_at(w) : e->beaten_at) > time)
		return NULL;
	snprintf(text, sizeof(text), "a read has shown that write %u was the last", w->write);
	return text;
}

/* All there is but @e came before it. Older ones were beaten when the newest of them was. */
static void beat_others(const struct sector *s, const struct entry *e)
{
	for (u32 i = s->newest; i != NONE; i = o.entry[i].older) {
		struct entry *other = &o.entry[i];

		if (other == e)
			continue;
		if (other->beaten_by != NONE)
			break;
		other->beaten_by = e - o.entry;
		other->beaten_at = o.now;
	}
}

/* Since the last power cut; what that took, and all before, had ended by then. */
static bool under_way(const struct sector *s, u64 since)
{
	for (u32 i = s->newest; i != NONE && !o.entry[i].lost; i = o.entry[i].older)
		if (write_of(&o.entry[i])->end > since)
			return true;
	return false;
}

static const char *followed(const struct write *w)
{
	static char text[80];

	snprintf(text, sizeof(text), "write %u has followed it",
		 (u32)(w - o.write));
	return text;
}

/* Of the entries with this content, the newest that may be it; what is wrong with the last. */
static struct entry *choose(u64 sector, u32 content, u64 time, bool durable, const char **why)
{
	struct sector *s = sector_at(sector);
	bool undefined = is_undefined(s, time, durable);
	struct entry *e;

	*why = "nobody ever wrote that there";
	for (e = find(sector, content); e; e = next_of(e->older, content)) {
		const struct write *w;

		if (undefined && !e->dead)
			return e;
		if (e->lost) {
			*why = durable ? "an earlier one took it away" :
					 "it was gone after a power cut";
			continue;
		}
		w = follower(s, e, time, durable);
		*why = w ? followed(w) : beaten(e, time, durable);
		if (!*why || (s->unsure && !durable))
			return e;
	}
	return NULL;
}

static const char *read_one(u64 begin, const void *buf, u64 sector)
{
	struct sector *s = sector_at(sector);
	u32 content = content_of(buf, sector);
	const char *why;
	struct entry *e = choose(sector, content, begin, false, &why);

	if (!e)
		return wrong("read", buf, sector, why);
	if (s->unsure || is_undefined(s, begin, false))
		return NULL;
	if (s->seen != NONE && !is_of(&o.entry[s->seen], content) && begin >= s->seen_at)
		return wrong("read", buf, sector, "an earlier read gave something else");
	if (!under_way(s, begin)) {
		if (s->seen == NONE)
			beat_others(s, e);
		s->seen = e - o.entry;
		s->seen_at = o.now;
	}
	return NULL;
}

const char *oracle_read(u64 begin, const void *buf, u64 sector, u32 sectors)
{
	for (u32 i = 0; i < sectors; i++) {
		const char *error = read_one(begin, buf + i * SECTOR_SIZE, sector + i);

		if (error)
			return error;
	}
	return blocks_whole("read", buf, sector, sectors);
}

/* Power cuts */

void oracle_crash(void)
{
	u64 now = ++o.now;

	for (u32 i = 0; i < o.nr_open; i++) {
		struct write *w = &o.write[o.open[i]];

		if (w->end == NEVER) {
			w->end = now;
			w->failed = true;
		}
	}
	o.nr_open = 0;
	for (u32 i = 0; i < o.sectors; i++)
		o.sector[i].seen = NONE;
}

static const char *recovered_one(const void *buf, u64 sector)
{
	const char *why;

	if (choose(sector, content_of(buf, sector), NEVER - 1, true, &why))
		return NULL;
	return wrong("after a power cut", buf, sector, why);
}

const char *oracle_recovered(const void *buf, u64 sector, u32 sectors)
{
	for (u32 i = 0; i < sectors; i++) {
		const char *error = recovered_one(buf + i * SECTOR_SIZE, sector + i);

		if (error)
			return error;
	}
	return blocks_whole("after a power cut", buf, sector, sectors);
}

/*
 * @e was found. But zeroes may be of any write of zeroes: what began before the last of those
 * that may be it had ended may have been there before.
 */
static u64 found_until(const struct sector *s, const struct entry *e)
{
	u32 content = content_number(e);
	u64 end = write_of(e)->end;

	for (u32 k = s->newest; k != NONE; k = o.entry[k].older)
		if (!o.entry[k].lost && is_of(&o.entry[k], content))
			end = max(end, write_of(&o.entry[k])->end);
	return end;
}

static void settle_one(struct sector *s, struct entry *e)
{
	u64 end = found_until(s, e);

	e->kept = min(e->kept, o.now);
	e->beaten_by = NONE;
	for (u32 k = s->newest; k != NONE; k = o.entry[k].older) {
		struct entry *other = &o.entry[k];

		if (other == e)
			continue;
		other->dead |= !other->lost && write_of(other)->begin >= end;
		other->lost = true;
	}
	s->seen = e - o.entry;
	s->seen_at = o.now;
}

/*
 * All that has been discarded may come back, but not a write behind that is not found. The
 * newest is taken to be, of those that may be: so none is called gone that may be there.
 */
static void settle_undefined(struct sector *s, const struct entry *found)
{
	u64 end = write_of(found)->end;

	for (u32 k = s->newest; k != NONE; k = o.entry[k].older)
		if (is_discard(&o.entry[k]))
			end = max(end, write_of(&o.entry[k])->end);
	for (u32 k = s->newest; k != NONE; k = o.entry[k].older) {
		struct entry *e = &o.entry[k];

		if (e == found || is_discard(e))
			continue;
		e->dead |= write_of(e)->begin >= end;
		/* It may have come before what was found, or be gone: then it ends no discard. */
		e->lost |= e->dead || durable_at(e) == NEVER;
	}
	s->seen = NONE;
}

/* Did @e, the only one with this content, surely follow every discard? */
static bool follows_discards(const struct sector *s, const struct entry *e, u32 content)
{
	for (u32 k = s->newest; k != NONE; k = o.entry[k].older) {
		const struct entry *other = &o.entry[k];

		if (is_discard(other) && write_of(e)->begin < write_of(other)->end)
			return false;
		if (other != e && !other->dead && is_of(other, content))
			return false;
	}
	return true;
}

static void settle_sector(u64 sector, u32 content)
{
	struct sector *s = sector_at(sector);
	const char *why;
	struct entry *e = choose(sector, content, NEVER - 1, true, &why);

	/* What media errors have spoilt may be anything that was written. */
	e = e ?: find(sector, content);
	if (is_undefined(s, NEVER - 1, true) && !follows_discards(s, e, content))
		settle_undefined(s, e);
	else
		settle_one(s, e);
}

void oracle_settle(const void *buf, const bool *known)
{
	o.now++;
	for (u32 i = 0; i < o.sectors; i++) {
		u64 sector = o.first + i;

		o.sector[i].unsure = !known[i];
		if (known[i])
			settle_sector(sector, content_of(buf + i * SECTOR_SIZE, sector));
	}
	/* Some of it is dead now. */
	forget_content();
}

bool oracle_is_undefined(u64 sector)
{
	return is_undefined(sector_at(sector), NEVER - 1, true);
}

/* The backing device alone */

void oracle_all_on_disk(void)
{
	o.on_disk = o.now;
}

void oracle_on_disk(u64 begin)
{
	o.on_disk = max(o.on_disk, begin);
}

/* The oldest write that a sector of the disk may be of; NULL: of none. */
static const struct entry *oldest_of(u64 sector, u32 content, const char **why)
{
	const struct entry *oldest = NULL;
	struct entry *e;

	*why = "nobody ever wrote that there";
	for (e = find(sector, content); e; e = next_of(e->older, content)) {
		if (!e->dead)
			oldest = e;
		*why = "a power cut took it away, before it was durable";
	}
	return oldest;
}

/* Sector @i holds some write to it, none that a cut took away. */
static const char *identify(u32 i, const u8 *buf, u64 id)
{
	struct known_content *known = o.known[i];
	const char *why;
	const struct entry *e = oldest_of(o.first + i, content_of(buf, o.first + i), &why);

	if (!e)
		return wrong("backing device", buf, o.first + i, why);
	known[1] = known[0];
	known[0] = (struct known_content) {
		.id = id, .begin = write_of(e)->begin, .again_of = write_of(e)->again_of,
		.entry = e - o.entry,
	};
	/* Of zeroes any write will do. */
	if (write_of(e)->zeroes)
		known[0].again_of = 0;
	return NULL;
}

/* What is known of a content of sector @i; NULL: nothing. */
static const struct known_content *known_content(u32 i, u64 id)
{
	const struct known_content *known = o.known[i];

	for (u32 k = 0; k < KNOWN; k++)
		if (known[k].id == id && known[k].entry != NONE)
			return &known[k];
	return NULL;
}

/* A sector that holds another write than the newest. */
struct behind {
	u32 sector;		/* its index */
	u32 entry;		/* what it holds, or a discard of it */
	u32 content;
};

struct behinds {
	u32 nr;
	struct behind at[ORACLE_MAX_SECTORS];
	u64 newest;		/* of all that is held, or was discarded: when it began */
};

/* All sectors hold writes to them, and each block is of one. */
static const char *identify_all(struct disk_content content, struct behinds *b)
{
	u32 again_of = NONE;

	for (u32 i = 0; i < o.sectors; i++) {
		const struct known_content *known = known_content(i, content.id[i]);
		const char *error;

		if (!known) {
			error = identify(i, content.sector[i], content.id[i]);
			if (error)
				return error;
			known = &o.known[i][0];
		}
		if (known->again_of != again_of && o.block > 1 && i % o.block)
			return wrong("backing device", content.sector[i], o.first + i,
				     "the sector before, in the same block, is of another write");
		again_of = known->again_of;
		b->newest = max(b->newest, known->begin);
		if (known->entry != o.sector[i].newest)
			b->at[b->nr++] = (struct behind) {
				.sector = i, .entry = known->entry,
				.content = content_number(&o.entry[known->entry]),
			};
	}
	return NULL;
}

/* Has another write, durable by @until, surely followed? */
static const struct entry *missing(const struct sector *s, u32 entry, u64 until)
{
	u64 end = write_of(&o.entry[entry])->end;

	for (u32 i = s->newest; i != entry; i = o.entry[i].older) {
		const struct entry *other = &o.entry[i];

		if (!other->dead && write_of(other)->begin >= end && !is_doubtful(other) &&
		    !is_discard(other) && durable_at(other) <= until)
			return other;
	}
	return NULL;
}

/* The oldest discard, or write of the same content, that may have followed @other. */
static const struct entry *excuse(const struct sector *s, const struct entry *other,
				  u32 content)
{
	const struct entry *oldest = NULL;

	for (u32 i = s->newest; i != NONE; i = o.entry[i].older) {
		const struct entry *e = &o.entry[i];

		if (!e->dead && (is_discard(e) || is_of(e, content)) &&
		    write_of(e)->end > write_of(other)->begin &&
		    (!oldest || write_of(e)->begin <= write_of(oldest)->begin))
			oldest = e;
	}
	return oldest;
}

/*
 * What a sector lacks may have an excuse: that makes the disk one of a later moment, by which
 * others may lack more. Returns whether it did.
 */
static bool excuse_one(struct behinds *b, struct behind *at, u64 until, const char **error)
{
	const struct sector *s = &o.sector[at->sector];
	const struct entry *other = missing(s, at->entry, until), *e;

	if (!other)
		return false;
	e = excuse(s, other, at->content);
	if (!e) {
		*error = durable_at(other) <= o.on_disk ? "a later one was said to be there" :
			 "it holds a write of a later epoch, but not this sector's before";
		return false;
	}
	at->entry = e - o.entry;
	b->newest = max(b->newest, write_of(e)->begin);
	return true;
}

const char *oracle_disk(struct disk_content content, bool ordered)
{
	static struct behinds b;
	const char *error;
	bool again = true;

	b.nr = 0;
	b.newest = 0;
	error = identify_all(content, &b);
	while (again && !error) {
		again = false;
		for (u32 k = 0; k < b.nr && !error; k++) {
			u32 i = b.at[k].sector;

			again |= excuse_one(&b, &b.at[k], max(ordered ? b.newest : 0, o.on_disk),
					    &error);
			if (error)
				error = wrong("backing device alone", content.sector[i],
					      o.first + i, error);
		}
	}
	return error;
}

bool oracle_was_written(u64 sector)
{
	for (u32 i = sector_at(sector)->newest; i != NONE; i = o.entry[i].older)
		if (o.entry[i].write && !is_discard(&o.entry[i]))
			return true;
	return false;
}

bool oracle_was_zeroed(u64 sector)
{
	for (u32 i = sector_at(sector)->newest; i != NONE; i = o.entry[i].older)
		if (o.entry[i].write && write_of(&o.entry[i])->zeroes)
			return true;
	return false;
}

const char *oracle_disk_is_newest(const u8 *(*content)(u64 sector))
{
	for (u32 i = 0; i < o.sectors; i++) {
		const char *error = read_one(o.now, content(o.first + i), o.first + i);

		if (error)
			return error;
	}
	return NULL;
}
