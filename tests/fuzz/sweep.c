// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every byte and every sector of the metadata of a populated medium, damaged, one at a
 * time. Each time the medium is attached read-only and read-write: it is refused with a
 * message and neither device changes, or what is read is right.
 *
 * "Right" is what the sound medium has, with these exceptions, which the format allows:
 *
 * - After a power cut nothing but the ksets themselves tells how many there are. When
 *   the last one is invalid, it looks like one that the cut has torn. When a sector is
 *   gone in which the log ends, or is an older copy, all ksets that begin there may look
 *   like not written yet. What is read then is an earlier state of the log, as a whole.
 *   After a clean detach the extension block knows the end, and it is refused.
 * - Attached read-only in spite of damage (status says needs_check): what the log has
 *   up to the damage.
 *
 * An older copy of a sector, with CRCs that fit:
 *
 *	super-block, segment information	never change: the same bytes
 *	cache information, extension block	a sector is one slot; the other one is
 *		newer, and says the same. But a slot's seq has 8 bits: a copy that is 129
 *		to 255 stores old would pass for the newer one, and no rule can tell.
 *	generations		both slots are in one sector. Keys of a newer generation than
 *		the segment's are damage; if there are none in the log, the older
 *		generation is as good as any. (But on a medium where Linux's own has left keys
 *		of an old generation, such a key may count again.)
 *	tails			all four slots are in one sector, so it is as if they had
 *		not moved since. The log is walked from where it began then. What is read is
 *		right as long as everything there is as it was, and the walk comes to
 *		dirty_tail; otherwise it is refused. But there are two ways to go wrong, and
 *		no rule of the format tells: the log may have come to that place again, so
 *		that ksets before it are left out; and a key may be stale that superseded
 *		one that is not. This exception is counted below ("older data, by older
 *		tails"); nothing but data that was once written there may be read then.
 *		After a clean detach the block knows better: it has both tails and
 *		tails_crc. But valid tails that differ from those count as moved on by
 *		Linux's own, whose attaches change info_seq, of 8 bits.
 *	ksets			see above; in the middle of the log they are damage.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/kernel.h>

#include "checker.h"
#include "disk-model.h"
#include "format.h"
#include "pmem-model.h"
#include "sample.h"
#include "world.h"

#define MAX_PRINTED	10
/* As first_lost of a case. */
#define NONE		U32_MAX
#define OLDER		(U32_MAX - 1)

enum outcome {
	REFUSED,
	RECOVERED,
	EARLIER,		/* an earlier state of the log */
	TO_THE_DAMAGE,		/* only read-only */
	OLDER_TAILS,		/* an older state of some sectors */
	OUTCOMES,
};

static const char *const outcome_name[OUTCOMES] = {
	"refused", "recovered", "recovered without the last ksets", "read up to the damage",
	"older data, by older tails",
};

/**
 * struct damage - one case
 * @what: in words
 * @off: of what is changed, on the medium
 * @bytes: how many
 * @data: what stands there instead
 * @first_lost: ksets from this one on may be lost; NONE: none may; OLDER: none, but
 *	the tails are older, and what they lead to may be
 */
struct damage {
	char what[100];
	u64 off;
	u32 bytes;
	u8 data[512];
	u32 first_lost;
};

/* What a world has found. */
static struct look {
	bool read_only;
	bool attached;
	bool needs_check;
	char error[FUZZ_ERROR];
	u8 data[SAMPLE_SECTORS << SECTOR_SHIFT] __aligned(4096);
	int read_error;
	u32 writes[SAMPLE_SECTORS];
} look;

static struct {
	struct sample *s;
	u8 *image;			/* the damaged medium */
	u32 (*states)[SAMPLE_SECTORS];	/* writes after the first n ksets */
	bool *may_end;			/* after the first n ksets */
	struct sim_random random;
	u64 counts[2][OUTCOMES];	/* of read-write, read-only */
	u64 cases, failed, total, total_failed;
} sw;

__attribute__((__format__(__printf__, 2, 3)))
static bool wrong(const struct damage *d, const char *fmt, ...)
{
	va_list args;

	if (sw.failed++ + sw.total_failed > MAX_PRINTED)
		return false;
	printf("FAILED: %s, %s: ", d->what, look.read_only ? "read-only" : "read-write");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n%s", fuzz_log());
	return false;
}

/*
 * A world: attach, look, write back, detach
 */

static void visit(void *arg)
{
	char line[FUZZ_TABLE], status[1000];
	struct mapped_device *md;

	sample_table(line, sizeof(line), "");
	md = fuzz_attach(line, look.read_only, look.error);
	look.attached = md;
	if (!md)
		return;
	fuzz_status(md, STATUSTYPE_INFO, status, sizeof(status));
	look.needs_check = strstr(status, "needs_check");
	look.read_error = fuzz_read(md, SAMPLE_FIRST, look.data, SAMPLE_SECTORS);
	if (!look.read_only && dm_host_message(md, "flush", status, sizeof(status)))
		sim_fail("flush does not succeed");
	fuzz_detach(md);
}

static bool visit_world(const struct damage *d, bool read_only)
{
	const struct sim_config config = {
		.seed = 1, .cpus = 2, .max_points = FUZZ_POINTS,
	};
	enum sim_end end;

	memset(&look, 0, offsetof(struct look, data));
	look.read_only = read_only;
	look.read_error = 0;
	if (!fuzz_world(&config, visit, NULL, &end))
		return wrong(d, "%s", fuzz_error());
	for (u32 i = 0; look.attached && i < SAMPLE_SECTORS; i++)
		look.writes[i] = sample_write_of(look.data + (i << SECTOR_SHIFT),
						 SAMPLE_FIRST + i);
	return true;
}

/*
 * What was found
 */

static u64 seg_off(u32 seg)
{
	return PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES;
}

static u64 data_off(u32 seg)
{
	return seg_off(seg) + PCACHE_SEG_DATA_OFF;
}

static bool same_state(u32 ksets)
{
	return !memcmp(look.writes, sw.states[ksets], sizeof(look.writes));
}

/* Has a key of kset @n this write's data for a sector? */
static bool key_has(u32 n, u32 at, u32 write)
{
	const struct sample_kset *k = &sw.s->ksets[n];
	const struct pcache_media_key *key = (const void *)(sw.s->media + k->off +
							    sizeof(struct pcache_media_kset));
	u64 byte = (SAMPLE_FIRST + at) << SECTOR_SHIFT;

	for (u32 i = 0; i < k->keys; i++, key++) {
		u64 from = byte - le64_to_cpu(key->off);

		if (from < le32_to_cpu(key->len) &&
		    sample_write_of(sw.s->media + data_off(le32_to_cpu(key->cache_seg_id)) +
				    le32_to_cpu(key->cache_seg_off) + from,
				    SAMPLE_FIRST + at) == write)
			return true;
	}
	return false;
}

/* After @n ksets and some keys of the next one: the damage may be in one of them. */
static bool within_kset(u32 n)
{
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		if (look.writes[i] != sw.states[n][i] && !key_has(n, i, look.writes[i]))
			return false;
	return true;
}

static bool once_written(void)
{
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		if (look.writes[i] == NO_WRITE || look.writes[i] >= sw.s->nr_writes)
			return false;
	return true;
}

/* False: what was read is not allowed. */
static bool outcome_of(const struct damage *d, enum outcome *out)
{
	u32 all = sw.s->nr_ksets;

	*out = RECOVERED;
	if (same_state(all))
		return true;
	*out = EARLIER;
	for (u64 n = d->first_lost; n < all; n++)
		if (sw.may_end[n] && same_state(n))
			return true;
	*out = TO_THE_DAMAGE;
	for (u32 n = 0; look.needs_check && n < all; n++)
		if (within_kset(n))
			return true;
	*out = OLDER_TAILS;
	return d->first_lost == OLDER && once_written();
}

static void describe_content(char *text, size_t bytes)
{
	const u32 *expected = sw.states[sw.s->nr_ksets];
	size_t n = 0;

	text[0] = '\0';
	for (u32 i = 0; i < SAMPLE_SECTORS && n + 60 < bytes; i++)
		if (look.writes[i] != expected[i])
			n += snprintf(text + n, bytes - n, " %llu has write %d, expected %u;",
				      SAMPLE_FIRST + i, (int)look.writes[i], expected[i]);
}

static bool disk_is(const u8 *data)
{
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		if (memcmp(disk_model_sector(SAMPLE_FIRST + i), data + (i << SECTOR_SHIFT),
			   SECTOR_SIZE))
			return false;
	return true;
}

static bool judge(const struct damage *d)
{
	bool untouched = look.read_only || !look.attached;
	char text[400];
	enum outcome out = REFUSED;

	if (untouched && memcmp(sw.image, pmem_model_view(), sw.s->bytes))
		return wrong(d, "the medium is changed");
	if (untouched && !disk_is(sw.s->disk[0]))
		return wrong(d, "the backing device is changed");
	if (look.attached) {
		if (look.read_error)
			return wrong(d, "reading: %d", look.read_error);
		if (!outcome_of(d, &out)) {
			describe_content(text, sizeof(text));
			return wrong(d, "wrong content:%s", text);
		}
		if (!look.read_only && look.needs_check)
			return wrong(d, "attached read-write in spite of damage");
		if (!look.read_only && !disk_is(look.data))
			return wrong(d, "after a flush, the backing device has something else");
	}
	sw.counts[look.read_only][out]++;
	return true;
}

/* What a read-write session has left must give the same again. */
static bool visit_again(const struct damage *d)
{
	u32 before[SAMPLE_SECTORS];

	memcpy(before, look.writes, sizeof(before));
	if (!visit_world(d, true))
		return false;
	if (!look.attached)
		return wrong(d, "a second time it is refused: %s", look.error);
	return !memcmp(before, look.writes, sizeof(before)) ||
	       wrong(d, "a second time something else is read");
}

static void run_case(const struct damage *d)
{
	sw.cases++;
	memcpy(sw.image + d->off, d->data, d->bytes);
	pmem_model_write(d->off, d->data, d->bytes);
	if (visit_world(d, true) && judge(d) && visit_world(d, false) && judge(d) &&
	    look.attached)
		visit_again(d);
	memcpy(sw.image + d->off, sw.s->media + d->off, d->bytes);
	pmem_model_on(&sw.random, PMEM_CUT_NONE);
	disk_model_off();
	disk_model_write(SAMPLE_FIRST, sw.s->disk, SAMPLE_SECTORS);
}

/*
 * Cases
 */

__attribute__((__format__(__printf__, 5, 6)))
static void change(const u8 *data, u64 off, u32 bytes, u32 first_lost, const char *fmt, ...)
{
	struct damage d = { .off = off, .bytes = bytes, .first_lost = first_lost };
	va_list args;

	if (!memcmp(sw.s->media + off, data, bytes))
		return;
	memcpy(d.data, data, bytes);
	va_start(args, fmt);
	vsnprintf(d.what, sizeof(d.what), fmt, args);
	va_end(args);
	run_case(&d);
}

/* Each byte, with one bit and with all bits flipped. */
static void flip(const char *what, u32 nr, u64 off, u32 bytes, u32 first_lost)
{
	for (u64 at = off; at < off + bytes; at++) {
		u8 mask[2] = { 1 << sim_below(&sw.random, 8), 0xff };

		for (u32 i = 0; i < 2; i++) {
			u8 byte = sw.s->media[at] ^ mask[i];

			change(&byte, at, 1, first_lost, "%s %u, byte %llu, flipped by 0x%02x",
			       what, nr, at - off, mask[i]);
		}
	}
}

static void flip_all(void)
{
	const struct sample *s = sw.s;
	u32 last = s->nr_ksets - 1;

	flip("super-block", 0, PCACHE_SUPER_OFF, sizeof(struct pcache_media_super), NONE);
	for (u32 i = 0; i < 2; i++) {
		flip("extension block", i, PCACHE_EXT_OFF + i * PCACHE_EXT_STRIDE,
		     sizeof(struct pcache_media_ext), NONE);
		flip("cache information", i, PCACHE_INFO_OFF + i * PCACHE_INFO_STRIDE,
		     sizeof(struct pcache_media_info), NONE);
	}
	flip("tails", 0, PCACHE_CTRL_OFF, PCACHE_TAILS_BYTES, NONE);
	for (u32 i = 0; i < s->segs; i++) {
		flip("segment information, slot 0, segment", i, seg_off(i),
		     sizeof(struct pcache_media_seg_info), NONE);
		flip("segment information, slot 1, segment", i,
		     seg_off(i) + PCACHE_SEG_INFO_STRIDE, sizeof(struct pcache_media_seg_info),
		     NONE);
		flip("generations, segment", i, seg_off(i) + PCACHE_SEG_GEN_OFF,
		     2 * PCACHE_SEG_GEN_STRIDE, NONE);
	}
	for (u32 i = 0; i <= last; i++)
		flip("kset", i, s->ksets[i].off, PCACHE_KSET_BYTES(s->ksets[i].keys),
		     i == last ? last : NONE);
	flip("behind the log", 0, s->end, PCACHE_LAST_BYTES, NONE);
}

/* Both halves of a sector, each from somewhere. */
static void mix(const char *what, u32 nr, u64 off, u32 lost, const u8 *a, const u8 *b,
		const char *how)
{
	u8 data[512];

	memcpy(data, a, 256);
	memcpy(data + 256, b + 256, 256);
	change(data, off, 512, lost, "sector of %s %u %s", what, nr, how);
}

static void sector(const char *what, u32 nr, u64 off, u32 lost)
{
	static const u8 zero[512];
	const u8 *now = sw.s->media + off;

	mix(what, nr, off, lost, zero, zero, "zeroed");
	mix(what, nr, off, lost, now, zero, "with its second half zeroed");
	mix(what, nr, off, lost, zero, now, "with its first half zeroed");
	for (u32 i = 0; i < sw.s->nr_older; i++) {
		const u8 *older = sw.s->older[i] + off;

		mix(what, nr, off, lost, older, older, "replaced by an older copy");
		mix(what, nr, off, lost, older, now, "with an older first half");
		mix(what, nr, off, lost, older, zero, "with an older first half, then zeroes");
		mix(what, nr, off, lost, now, older, "with an older second half");
	}
}

/* The first kset that is in a sector, also in part. */
static u32 first_kset_in(u64 off)
{
	u32 i;

	for (i = 0; i < sw.s->nr_ksets; i++) {
		const struct sample_kset *k = &sw.s->ksets[i];

		if (k->off < off + 512 && k->off + PCACHE_KSET_BYTES(k->keys) > off)
			break;
	}
	return i;
}

static void log_sectors(void)
{
	u64 done = 0;

	for (u32 i = 0; i < sw.s->nr_ksets; i++) {
		const struct sample_kset *k = &sw.s->ksets[i];
		u64 off = k->off & ~511ULL;

		for (; off < k->off + PCACHE_KSET_BYTES(k->keys); off += 512) {
			if (off != done)
				sector("the log", i, off, first_kset_in(off));
			done = off;
		}
	}
}

static void older_tails(void)
{
	for (u32 i = 0; i < sw.s->nr_older_tails; i++)
		change(sw.s->older_tails[i], PCACHE_CTRL_OFF, TAILS_BYTES, OLDER,
		       "the tails replaced by older ones (%u)", i);
}

static void all_sectors(void)
{
	sector("super-block", 0, PCACHE_SUPER_OFF, NONE);
	for (u32 i = 0; i < 2; i++) {
		sector("extension block", i, PCACHE_EXT_OFF + i * PCACHE_EXT_STRIDE, NONE);
		sector("cache information", i, PCACHE_INFO_OFF + i * PCACHE_INFO_STRIDE, NONE);
	}
	sector("tails", 0, PCACHE_CTRL_OFF, OLDER);
	for (u32 i = 0; i < sw.s->segs; i++) {
		sector("segment information, slot 0, segment", i, seg_off(i), NONE);
		sector("segment information, slot 1, segment", i,
		       seg_off(i) + PCACHE_SEG_INFO_STRIDE, NONE);
		sector("generations, segment", i, seg_off(i) + PCACHE_SEG_GEN_OFF, NONE);
	}
	log_sectors();
}

/*
 * What the log says after each of its ksets
 */

static void state_after(u32 ksets, struct checker_place *places)
{
	const struct checker_image image = {
		.media = sw.image, .bytes = sw.s->bytes,
		.backing_sectors = SAMPLE_FIRST + SAMPLE_SECTORS,
	};
	struct checker c = {
		.first_sector = SAMPLE_FIRST, .nr_sectors = SAMPLE_SECTORS, .places = places,
	};

	for (u32 i = ksets; i < sw.s->nr_ksets; i++)
		memset(sw.image + sw.s->ksets[i].off, 0, sizeof(struct pcache_media_kset));
	sw.may_end[ksets] = checker_run(&image, CHECKER_CRASHED, &c);
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		sw.states[ksets][i] = sample_write_of(places[i].off ? sw.image + places[i].off :
						      sw.s->disk[i], SAMPLE_FIRST + i);
	memcpy(sw.image, sw.s->media, sw.s->bytes);
}

static void find_states(void)
{
	static struct checker_place places[SAMPLE_SECTORS];

	sw.states = calloc(sw.s->nr_ksets + 1, sizeof(*sw.states));
	sw.may_end = calloc(sw.s->nr_ksets + 1, sizeof(*sw.may_end));
	for (u32 n = 0; n <= sw.s->nr_ksets; n++)
		state_after(n, places);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void print_counts(void)
{
	for (u32 ro = 0; ro < 2; ro++) {
		printf("  %s:", ro ? "read-only" : "read-write");
		for (u32 i = 0; i < OUTCOMES; i++)
			if (sw.counts[ro][i])
				printf(" %llu %s,", sw.counts[ro][i], outcome_name[i]);
		printf("\n");
	}
}

static void run_sample(struct sample *s)
{
	double begin = seconds();

	sample_make(s);
	sw.s = s;
	sw.image = malloc(s->bytes);
	memcpy(sw.image, s->media, s->bytes);
	sw.cases = sw.failed = 0;
	memset(sw.counts, 0, sizeof(sw.counts));
	find_states();
	sample_load(s);
	flip_all();
	all_sectors();
	older_tails();
	printf("%s, data_crc %s: %u ksets, %llu cases, %llu failed, %.1f s\n",
	       s->detached ? "after a clean detach" : "after a power cut",
	       s->data_crc ? "true" : "false", s->nr_ksets, sw.cases, sw.failed,
	       seconds() - begin);
	print_counts();
	fflush(stdout);
	sw.total += sw.cases;
	sw.total_failed += sw.failed;
}

int main(void)
{
	static struct sample samples[4];

	fuzz_init();
	sim_seed(&sw.random, 1);
	for (u32 i = 0; i < 4; i++) {
		samples[i] = (struct sample) {
			.load = SAMPLE_FULL, .segs = 21, .turns = 6, .seed = 7,
			.data_crc = i & 1, .detached = i & 2,
		};
		run_sample(&samples[i]);
	}
	printf("sweep: %llu passed, %llu failed\n", sw.total - sw.total_failed, sw.total_failed);
	return sw.total_failed ? 1 : 0;
}
