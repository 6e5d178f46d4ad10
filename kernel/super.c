// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Super-block, cache_info and extension block: what the cache is, how it is
 * formatted, attached and detached.
 *
 * Loading only reads. All stores happen between resume and suspend, under the
 * admin mutex. doc/design.rst names each of them (F1.., A1.., D2, O1..) with
 * what has to be durable before it; the comments here use these names.
 */
#include <linux/bitfield.h>
#include <linux/crc32c.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uuid.h>

#include "pcache.h"
#include "pmem.h"

/* What has to be zero before a device counts as blank. */
#define BLANK_BYTES	SZ_64K
/* As ext.info_seq: no seq of 8 bits is equal to it. */
#define NO_INFO_SEQ	0x100

static void slots_setup(struct pcache *pc)
{
	struct pcache_super *su = &pc->super;

	pcache_slots_init(&su->info_slots, pc->media + PCACHE_INFO_OFF, PCACHE_INFO_STRIDE,
			  sizeof(su->info));
	pcache_slots_init(&su->ext_slots, pc->media + PCACHE_EXT_OFF, PCACHE_EXT_STRIDE,
			  sizeof(su->ext));
}

static bool media_is_zero(struct pcache *pc, u64 off, u32 bytes)
{
	u8 buf[SECTOR_SIZE];
	u32 i, n;

	for (i = 0; i < bytes; i += n) {
		n = min_t(u32, bytes - i, sizeof(buf));
		if (!pmem_read(buf, pc->media + off + i, n) || memchr_inv(buf, 0, n))
			return false;
	}
	return true;
}

/*
 * Is what stands in a slot of the block zero, or part of what F1 writes there first?
 * Only seq, state, the cache's identity and what it is bound to may not be zero.
 */
static bool ext_unfinished(struct pcache *pc, u32 slot)
{
	const u32 places = offsetof(struct pcache_media_ext, head_seg);
	const u32 behind = offsetof(struct pcache_media_ext, info_seq) + sizeof(__le32);
	struct pcache_media_ext ext;

	if (!pmem_read(&ext, pc->media + PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE, sizeof(ext)))
		return false;
	return (ext.magic == 0 || le64_to_cpu(ext.magic) == PCACHE_EXT_MAGIC) &&
	       ext.header.seq <= 2 && ext.header.version == 0 && ext.header.res == 0 &&
	       mem_is_zero(ext.label, sizeof(ext.label)) &&
	       ext.features_incompat == 0 && ext.features_compat == 0 &&
	       !(le32_to_cpu(ext.state) & ~PCACHE_EXT_FORMATTING) &&
	       ext.own_seg == 0 && ext.own_off == 0 &&
	       mem_is_zero((u8 *)&ext + places, offsetof(struct pcache_media_ext, info_seq) - places) &&
	       (ext.info_seq == 0 || le32_to_cpu(ext.info_seq) == NO_INFO_SEQ) &&
	       mem_is_zero((u8 *)&ext + behind, sizeof(ext) - behind);
}

/* Is the device blank, but for a first store of a format that was torn? */
static bool media_is_blank(struct pcache *pc)
{
	u32 at = 0, slot;

	for (slot = 0; slot < 2; slot++) {
		u32 off = PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE;

		if (!media_is_zero(pc, at, off - at) || !ext_unfinished(pc, slot))
			return false;
		at = off + sizeof(struct pcache_media_ext);
	}
	return media_is_zero(pc, at, BLANK_BYTES - at);
}

/*
 * Is what stands in an info slot zero, or part of what a format writes there?
 * Words of 8 bytes get to the medium whole.
 */
static bool info_unfinished(struct pcache *pc, int slot, u32 seg_total, __le32 tag)
{
	struct pcache_media_info info;
	u32 flags;

	if (!pmem_read(&info, pc->media + PCACHE_INFO_OFF + slot * PCACHE_INFO_STRIDE,
		       sizeof(info)))
		return false;
	flags = le32_to_cpu(info.flags);
	return info.header.seq <= 2 && info.header.version == 0 && info.header.res == 0 &&
	       info.seg_id == 0 && (info.n_segs == 0 || le32_to_cpu(info.n_segs) == seg_total) &&
	       !(flags & ~PCACHE_INFO_KNOWN) && (info.tag == 0 || info.tag == tag);
}

/* Is a tail's slot zero, or at 0:0 with a seq that only a format gives? */
static bool tail_unused(struct pcache *pc, u32 off)
{
	struct pcache_media_tail tail;

	if (!pmem_read(&tail, pc->media + off, sizeof(tail)))
		return false;
	return tail.header.seq <= 2 && tail.cache_seg_id == 0 && tail.seg_off == 0;
}

/* Was a format cut short, and is nothing but that on the medium? */
static bool format_was_cut_short(struct pcache *pc, u32 seg_total, __le32 tag)
{
	u32 off;

	if (!info_unfinished(pc, 0, seg_total, tag) || !info_unfinished(pc, 1, seg_total, tag))
		return false;
	for (off = 0; off < PCACHE_TAILS_BYTES; off += PCACHE_TAIL_STRIDE)
		if (!tail_unused(pc, PCACHE_CTRL_OFF + off))
			return false;
	return true;
}

/**
 * pcache_super_plan_format() - Plan to format the device at resume.
 * @pc: cache
 * @error: why not
 *
 * Return: 0, or -EROFS when the table is read-only.
 */
int pcache_super_plan_format(struct pcache *pc, const char **error)
{
	u64 segs = (pc->media_bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;

	if (pc->read_only) {
		*error = "Cache device is not formatted, and the table is read-only";
		return -EROFS;
	}
	pc->super.format = true;
	pc->n_segs = min_t(u64, segs, PCACHE_MAX_SEGS);
	pc->super.seg_total = pc->n_segs;
	pc->data_crc = pc->options.data_crc;
	pc->gc_percent = pc->options.gc_percent;
	pc->mode = pc->options.mode;
	return 0;
}

/* The medium has no super-block of a pcache: may it be formatted? */
static int load_unformatted(struct pcache *pc, const char **error)
{
	struct pcache_media_ext ext;
	bool have_ext = pcache_slots_read(&pc->super.ext_slots, &ext) &&
			le64_to_cpu(ext.magic) == PCACHE_EXT_MAGIC;
	u32 segs = (pc->media_bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;

	if (have_ext && ext.features_incompat) {
		*error = "Cache has incompatible features that this version does not know";
		return -EOPNOTSUPP;
	}
	if (have_ext && !(le32_to_cpu(ext.state) & PCACHE_EXT_FORMATTING)) {
		*error = "Cache super-block is damaged, and its extension block says that there is a cache";
		return -EUCLEAN;
	}
	if (pc->options.format == PCACHE_FORMAT_FORCE)
		return pcache_super_plan_format(pc, error);
	if (pc->options.format == PCACHE_FORMAT_NEVER) {
		*error = "Cache device is not formatted, and format is never";
		return -EINVAL;
	}
	if (media_is_blank(pc))
		return pcache_super_plan_format(pc, error);
	if (have_ext && format_was_cut_short(pc, segs, ext.tag))
		return pcache_super_plan_format(pc, error);
	*error = "Cache device has no pcache super-block, and its first 64 KiB are not zero (format force overwrites it)";
	return -EINVAL;
}

/* Both copies of cache_info are invalid. */
static int load_without_info(struct pcache *pc, const char **error)
{
	struct pcache_media_ext ext;
	bool have_ext = pcache_slots_read(&pc->super.ext_slots, &ext);
	bool ours = have_ext && (le32_to_cpu(ext.state) & PCACHE_EXT_FORMATTING);

	if ((!have_ext || ours) &&
	    format_was_cut_short(pc, pc->super.seg_total, have_ext ? ext.tag : 0)) {
		if (pc->options.format == PCACHE_FORMAT_NEVER) {
			*error = "Cache device is not completely formatted, and format is never";
			return -EINVAL;
		}
		pcache_info(pc, "formatting was cut short, begins again");
		return pcache_super_plan_format(pc, error);
	}
	*error = "Cache information: both copies are invalid";
	return -EUCLEAN;
}

static int check_super(struct pcache *pc, const struct pcache_media_super *sb,
		       const char **error)
{
	u32 segs = le32_to_cpu(sb->seg_num);

	if (le32_to_cpu(sb->flags) & PCACHE_SUPER_BIGENDIAN) {
		*error = "Cache was made on a big-endian machine, which is not supported";
		return -EOPNOTSUPP;
	}
	if (le32_to_cpu(sb->flags)) {
		*error = "Cache super-block has flags that this version does not know";
		return -EOPNOTSUPP;
	}
	if (segs < PCACHE_MIN_SEGS || segs > PCACHE_MAX_SEGS) {
		*error = "Cache super-block: number of segments is out of range";
		return -EUCLEAN;
	}
	if (PCACHE_SEGS_OFF + (u64)segs * PCACHE_SEG_BYTES > pc->media_bytes) {
		*error = "Cache device is smaller than its super-block says";
		return -EUCLEAN;
	}
	pc->super.seg_total = segs;
	pc->super.sb_flags = le32_to_cpu(sb->flags);
	return 0;
}

/*
 * How many segments there are if a resize is past G3: it is if cache_info has them. Then
 * the super-block may still have fewer.
 */
static u32 growing_to(struct pcache *pc)
{
	struct pcache_super *su = &pc->super;
	struct pcache_media_ext ext;
	u32 segs;

	if (!pcache_slots_read(&su->ext_slots, &ext) ||
	    le64_to_cpu(ext.magic) != PCACHE_EXT_MAGIC || !ext.tag || ext.tag != su->info.tag)
		return 0;
	segs = le32_to_cpu(ext.grow_segs);
	return segs <= PCACHE_MAX_SEGS && segs >= su->seg_total &&
	       ext.grow_segs == su->info.n_segs ? segs : 0;
}

static int check_growing(struct pcache *pc, const char **error)
{
	struct pcache_super *su = &pc->super;
	u32 segs = growing_to(pc);

	su->growing = segs;
	su->list_ended = false;
	if (!segs)
		return 0;
	if (PCACHE_SEGS_OFF + (u64)segs * PCACHE_SEG_BYTES > pc->media_bytes) {
		*error = "Cache device is smaller than its extension block says";
		return -EUCLEAN;
	}
	su->seg_total = segs;
	return 0;
}

static int check_info(struct pcache *pc, const char **error)
{
	const struct pcache_media_info *info = &pc->super.info;
	u32 flags = le32_to_cpu(info->flags), segs = le32_to_cpu(info->n_segs);

	if (!(flags & PCACHE_INFO_INIT_DONE) || (flags & ~PCACHE_INFO_KNOWN) ||
	    FIELD_GET(PCACHE_INFO_MODE, flags) > PCACHE_WRITEONLY) {
		*error = "Cache information: flags are not allowed";
		return -EUCLEAN;
	}
	if (segs < PCACHE_MIN_SEGS || segs > pc->super.seg_total) {
		*error = "Cache information: number of segments is out of range";
		return -EUCLEAN;
	}
	if (FIELD_GET(PCACHE_INFO_GC_PERCENT, flags) > PCACHE_GC_PERCENT_MAX) {
		*error = "Cache information: gc_percent is out of range";
		return -EUCLEAN;
	}
	pc->n_segs = segs;
	pc->data_crc = flags & PCACHE_INFO_DATA_CRC;
	return 0;
}

/**
 * pcache_super_recall_options() - Take gc_percent and cache mode as the medium has them.
 * @pc: cache; cache_info is loaded
 */
void pcache_super_recall_options(struct pcache *pc)
{
	u32 flags = le32_to_cpu(pc->super.info.flags);

	WRITE_ONCE(pc->gc_percent, FIELD_GET(PCACHE_INFO_GC_PERCENT, flags));
	WRITE_ONCE(pc->mode, FIELD_GET(PCACHE_INFO_MODE, flags));
}

/* Do the places that a clean detach noted in the block still hold? */
static bool noted_places_hold(struct pcache *pc)
{
	struct pcache_media_tail tails[4];
	const struct pcache_media_ext *ext = &pc->super.ext;
	u32 i, valid = 0;

	if (!(le32_to_cpu(ext->state) & PCACHE_EXT_CLEAN))
		return false;
	if (!pmem_read(tails, pc->media + PCACHE_CTRL_OFF, sizeof(tails)))
		return true;
	if (crc32c(PCACHE_CRC_SEED, tails, sizeof(tails)) == le32_to_cpu(ext->tails_crc))
		return true;
	/* They have rotted, or somebody moved them: only the latter leaves both valid. */
	for (i = 0; i < 4; i++)
		if (le32_to_cpu(tails[i].header.crc) == pcache_crc(&tails[i], sizeof(tails[i])))
			valid |= 1 << (i / 2);
	return valid != 3;
}

static bool ext_has_media_error(struct pcache *pc)
{
	struct pcache_media_ext ext;
	u32 slot;

	for (slot = 0; slot < 2; slot++)
		if (!pmem_read(&ext, pc->media + PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE,
			       sizeof(ext)))
			return true;
	return false;
}

/* Reads the extension block; decides whether it is this cache's. */
static int load_ext(struct pcache *pc, const char **error)
{
	struct pcache_super *su = &pc->super;
	struct pcache_media_ext *ext = &su->ext;

	su->ext_valid = pcache_slots_read(&su->ext_slots, ext) &&
			le64_to_cpu(ext->magic) == PCACHE_EXT_MAGIC && ext->tag != 0 &&
			ext->tag == su->info.tag;
	if (!su->ext_valid && su->info.tag && ext_has_media_error(pc)) {
		*error = "Cache extension block: no copy can be read (media error)";
		return -EIO;
	}
	if (!su->ext_valid) {
		su->mainline_was_here = true;
		return 0;
	}
	if (ext->features_incompat) {
		*error = "Cache has incompatible features that this version does not know";
		return -EOPNOTSUPP;
	}
	if (ext->own_number == 0) {
		*error = "Cache extension block has values that are not allowed";
		return -EUCLEAN;
	}
	su->mainline_was_here = le32_to_cpu(ext->info_seq) != su->info_slots.seq;
	su->clean = !su->mainline_was_here && noted_places_hold(pc);
	return 0;
}

/* Is this the backing device that the cache is bound to? */
static int check_backing(struct pcache *pc, const struct pcache_options *o, u64 has_sectors,
			 const char **error)
{
	const struct pcache_media_ext *ext = &pc->super.ext;
	bool bound = pc->super.ext_valid;
	/* Without a block keys up to the size of today have been taken. */
	u64 sectors = bound ? le64_to_cpu(ext->backing_sectors) : pc->backing_sectors;

	if (sectors > has_sectors) {
		pcache_err(pc, "cache is bound to a backing device of %llu sectors, this one has %llu",
			   (unsigned long long)sectors, (unsigned long long)has_sectors);
		*error = "Backing device is smaller than the one the cache is bound to";
		return -EINVAL;
	}
	if (bound && test_bit(PCACHE_OPT_BACKING_ID, &o->given) && ext->backing_id[0] &&
	    memcmp(ext->backing_id, o->backing_id, sizeof(ext->backing_id))) {
		pcache_err(pc, "cache is bound to backing_id %.*s, the table says %.*s",
			   PCACHE_BACKING_ID_BYTES, ext->backing_id,
			   PCACHE_BACKING_ID_BYTES, o->backing_id);
		*error = "Cache is bound to another backing_id";
		return -EINVAL;
	}
	return 0;
}

/**
 * pcache_super_check_line() - Does a table line fit the cache?
 * @pc: cache; super-block, cache_info and block are loaded
 * @o: the line's options
 * @backing_sectors: size of the backing device
 * @error: what does not fit
 *
 * Context: may sleep. Return: 0 or -EINVAL.
 */
int pcache_super_check_line(struct pcache *pc, const struct pcache_options *o,
			    u64 backing_sectors, const char **error)
{
	int r;

	if (test_bit(PCACHE_OPT_DATA_CRC, &o->given) && o->data_crc != pc->data_crc) {
		*error = pc->data_crc ? "Cache was formatted with data_crc true" :
					"Cache was formatted with data_crc false";
		return -EINVAL;
	}
	mutex_lock(&pc->super.lock);
	r = check_backing(pc, o, backing_sectors, error);
	mutex_unlock(&pc->super.lock);
	return r;
}

/**
 * pcache_super_load() - Read and check what the cache is, or plan a format.
 * @pc: cache; its devices and options are set
 * @error: what is wrong
 *
 * Sets n_segs and data_crc, for a format gc_percent and mode as well. Only reads.
 *
 * Return: 0, or -errno.
 */
int pcache_super_load(struct pcache *pc, const char **error)
{
	struct pcache_super *su = &pc->super;
	struct pcache_media_super sb;
	int r;

	memset(su, 0, sizeof(*su));
	mutex_init(&su->lock);
	slots_setup(pc);
	if (!pmem_read(&sb, pc->media + PCACHE_SUPER_OFF, sizeof(sb))) {
		*error = "Cache super-block cannot be read (media error)";
		return -EIO;
	}
	if (le64_to_cpu(sb.magic) == swab64(PCACHE_SUPER_MAGIC)) {
		*error = "Cache was made on a big-endian machine, which is not supported";
		return -EOPNOTSUPP;
	}
	if (le64_to_cpu(sb.magic) != PCACHE_SUPER_MAGIC)
		return load_unformatted(pc, error);
	if (le32_to_cpu(sb.crc) != pcache_crc(&sb, sizeof(sb))) {
		*error = "Cache super-block has a wrong CRC";
		return -EUCLEAN;
	}
	r = check_super(pc, &sb, error);
	if (r)
		return r;
	if (!pcache_slots_read(&su->info_slots, &su->info))
		return load_without_info(pc, error);
	r = check_growing(pc, error) ?: check_info(pc, error);
	if (r)
		return r;
	r = load_ext(pc, error);
	/* What is to be formatted anew need not fit the table. */
	if (r || pc->options.format == PCACHE_FORMAT_FORCE)
		return r;
	return pcache_super_check_line(pc, &pc->options, pc->backing_sectors, error);
}

/* Without its magic, one word, there is no super-block. */
static void erase_super(struct pcache *pc)
{
	static const __le64 zero;

	pmem_begin();
	pmem_store(pc->media + PCACHE_SUPER_OFF + offsetof(struct pcache_media_super, magic),
		   &zero, sizeof(zero));
	pmem_end();
}

/* The magic comes last, so a power cut leaves no super-block or all of it. */
static void store_super(struct pcache *pc, const struct pcache_media_super *sb)
{
	const u32 magic = offsetof(struct pcache_media_super, magic);
	const u32 rest = magic + sizeof(sb->magic);
	void *dst = pc->media + PCACHE_SUPER_OFF;

	pmem_begin();
	pmem_store(dst, sb, magic);
	pmem_store(dst + rest, (const void *)sb + rest, sizeof(*sb) - rest);
	pmem_fence();
	pmem_store(dst + magic, &sb->magic, sizeof(sb->magic));
	pmem_end();
}

/**
 * pcache_super_format_segment() - Make a segment new on the medium: F4, G2.
 * @media: where it is
 * @next: physical id of the next one; PCACHE_NO_SEG: it ends the list
 *
 * Durable on return.
 */
void pcache_super_format_segment(void *media, u32 next)
{
	static const u8 zero[PCACHE_LAST_BYTES] __aligned(8);
	struct pcache_media_seg_info info = {
		.flags = cpu_to_le32(FIELD_PREP(PCACHE_SEG_TYPE, PCACHE_SEG_TYPE_CACHE)),
	};
	struct pcache_media_gen gen = { };
	struct pcache_slots slots;

	pcache_slots_init(&slots, media + PCACHE_SEG_GEN_OFF, PCACHE_SEG_GEN_STRIDE, sizeof(gen));
	pcache_slots_erase(&slots);
	pcache_slots_write(&slots, &gen);

	/* Both slots say the same, so that either may become unreadable. */
	pcache_slots_init(&slots, media + PCACHE_SEG_INFO_OFF, PCACHE_SEG_INFO_STRIDE,
			  sizeof(info));
	if (next != PCACHE_NO_SEG) {
		info.flags |= cpu_to_le32(PCACHE_SEG_HAS_NEXT);
		info.next_seg = cpu_to_le32(next);
	}
	pcache_slots_write_both(&slots, &info);
	pmem_begin();
	pmem_store(media + PCACHE_SEG_DATA_OFF, zero, sizeof(zero));
	pmem_end();
}

/* F5: slot 0 with seq 1, then slot 1 with seq 2, whatever stood there. */
static void format_tail(struct pcache *pc, u32 off)
{
	struct pcache_media_tail tail = { };
	struct pcache_slots slots;

	pcache_slots_init(&slots, pc->media + off, PCACHE_TAIL_STRIDE, sizeof(tail));
	slots.current_slot = 1;
	pcache_slots_write_both(&slots, &tail);
}

static u64 random_number(void)
{
	return (get_random_u64() & PCACHE_NUMBER_MAX) ?: 1;
}

static __le32 random_tag(void)
{
	return cpu_to_le32(get_random_u32() ?: 1);
}

/* A block for a cache that has none; where ksets begin is still to be said. */
static void new_ext(struct pcache *pc)
{
	struct pcache_media_ext *ext = &pc->super.ext;
	uuid_t uuid;

	memset(ext, 0, sizeof(*ext));
	uuid_gen(&uuid);
	memcpy(ext->uuid, &uuid, sizeof(ext->uuid));
	ext->magic = cpu_to_le64(PCACHE_EXT_MAGIC);
	ext->tag = random_tag();
	ext->created = cpu_to_le64(ktime_get_real_seconds());
	ext->own_number = cpu_to_le64(random_number());
	ext->info_seq = cpu_to_le32(NO_INFO_SEQ);
}

/* Binds the cache to the backing device of today. */
static void bind_backing(struct pcache *pc)
{
	struct pcache_media_ext *ext = &pc->super.ext;

	ext->backing_sectors = cpu_to_le64(pc->backing_sectors);
	if (test_bit(PCACHE_OPT_BACKING_ID, &pc->options.given))
		memcpy(ext->backing_id, pc->options.backing_id, sizeof(ext->backing_id));
}

/**
 * pcache_super_format() - Format the cache device as planned.
 * @pc: cache
 *
 * The super-block is away while the rest is made, so that mainline, were it to
 * attach what a power cut leaves, would format on its own; once it is back, all
 * but cache_info is in place. The block says "formatting" until the attach, which
 * comes next.
 */
void pcache_super_format(struct pcache *pc)
{
	static const u8 zero_tails[PCACHE_TAILS_BYTES] __aligned(8);
	struct pcache_super *su = &pc->super;
	struct pcache_media_super sb = { };
	struct pcache_media_ext old;
	u32 i;

	pcache_info(pc, "formatting %u segments, data_crc %s", pc->n_segs,
		    pc->data_crc ? "true" : "false");
	slots_setup(pc);
	pcache_slots_read(&su->ext_slots, &old);	/* for the newest seq */
	new_ext(pc);
	bind_backing(pc);
	su->ext.state = cpu_to_le32(PCACHE_EXT_FORMATTING);
	pcache_slots_write_both(&su->ext_slots, &su->ext);		/* F1 */

	erase_super(pc);						/* F2 */
	pcache_slots_erase(&su->info_slots);				/* F3 */
	pmem_begin();
	pmem_store(pc->media + PCACHE_CTRL_OFF, zero_tails, sizeof(zero_tails));
	pmem_end();
	for (i = 0; i < pc->n_segs; i++) {				/* F4 */
		pcache_super_format_segment(pc->media + PCACHE_SEGS_OFF + (u64)i * PCACHE_SEG_BYTES,
					    i + 1 < pc->n_segs ? i + 1 : PCACHE_NO_SEG);
		cond_resched();
	}
	format_tail(pc, PCACHE_KEY_TAIL_OFF);				/* F5 */
	format_tail(pc, PCACHE_DIRTY_TAIL_OFF);

	sb.magic = cpu_to_le64(PCACHE_SUPER_MAGIC);
	sb.seg_num = cpu_to_le32(su->seg_total);
	sb.crc = cpu_to_le32(pcache_crc(&sb, sizeof(sb)));
	store_super(pc, &sb);						/* F6 */

	memset(&su->info, 0, sizeof(su->info));
	su->info.n_segs = cpu_to_le32(pc->n_segs);
	su->info.flags = cpu_to_le32(PCACHE_INFO_INIT_DONE |
				     (pc->data_crc ? PCACHE_INFO_DATA_CRC : 0) |
				     FIELD_PREP(PCACHE_INFO_MODE, pc->mode) |
				     FIELD_PREP(PCACHE_INFO_GC_PERCENT, pc->gc_percent));
	su->info.tag = su->ext.tag;
	pcache_slots_write_both(&su->info_slots, &su->info);		/* F7 */
}

static __le32 info_flags(struct pcache *pc)
{
	u32 flags = le32_to_cpu(pc->super.info.flags) &
		    ~(u32)(PCACHE_INFO_GC_PERCENT | PCACHE_INFO_MODE);

	return cpu_to_le32(flags | FIELD_PREP(PCACHE_INFO_GC_PERCENT, pc->gc_percent) |
			   FIELD_PREP(PCACHE_INFO_MODE, pc->mode));
}

/* A1: both slots of both tails are valid and agree. */
static void settle_tails(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;

	if (!pcache_slots_agree(&j->dirty_slots))
		pcache_tail_store(pc, &j->dirty_slots, &j->dirty_tail);
	if (!pcache_slots_agree(&j->key_slots))
		pcache_tail_store(pc, &j->key_slots, &j->key_tail);
}

/**
 * pcache_super_attach() - Take the medium into use.
 * @pc: cache; its log has been read, or it was suspended
 *
 * Nothing may be logged before this returns.
 *
 * Context: resume, or nobody else uses the cache.
 */
void pcache_super_attach(struct pcache *pc)
{
	static const u8 zero[PCACHE_LAST_BYTES] __aligned(8);
	struct pcache_super *su = &pc->super;
	struct pcache_journal *j = &pc->journal;
	struct pcache_media_ext *ext = &su->ext;

	settle_tails(pc);						/* A1 */
	if (!su->ext_valid)
		new_ext(pc);
	if (su->info.tag != ext->tag || su->info.flags != info_flags(pc) ||
	    !pcache_slots_agree(&su->info_slots)) {
		su->info.tag = ext->tag;
		su->info.flags = info_flags(pc);
		pcache_slots_write_both(&su->info_slots, &su->info);	/* A2 */
	}
	if (su->growing)
		su->growing = !pcache_resize_finish(pc);		/* G4, G5 */
	pmem_begin();
	pmem_store(pcache_seg_data(pc, j->head.seg, j->head.off), zero, sizeof(zero));
	pmem_end();							/* A3 */

	if (!j->next_number)
		j->next_number = random_number();
	bind_backing(pc);
	ext->own_seg = cpu_to_le32(j->head.seg);
	ext->own_off = cpu_to_le32(j->head.off);
	ext->own_number = cpu_to_le64(j->next_number);
	ext->info_seq = cpu_to_le32(su->info_slots.seq);
	ext->grow_segs = su->growing ? su->info.n_segs : 0;
	ext->state = cpu_to_le32(PCACHE_EXT_IN_USE);
	pcache_slots_write_both(&su->ext_slots, ext);			/* A4 */
	su->own_ord = j->head.ord;
	su->ext_valid = true;
	su->mainline_was_here = false;
}

/**
 * pcache_super_detach() - Note where the log ends.
 * @pc: cache; all is durable, and nothing runs
 */
void pcache_super_detach(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_media_ext *ext = &pc->super.ext;
	struct pcache_media_tail tails[4] = { };

	/* Where they cannot be read, the places below serve instead, whatever their CRC. */
	pmem_read(tails, pc->media + PCACHE_CTRL_OFF, sizeof(tails));
	ext->head_seg = cpu_to_le32(j->head.seg);
	ext->head_off = cpu_to_le32(j->head.off);
	ext->head_number = cpu_to_le64(j->last_number);
	ext->tails[0].seg = cpu_to_le32(j->key_tail.seg);
	ext->tails[0].off = cpu_to_le32(j->key_tail.off);
	ext->tails[1].seg = cpu_to_le32(j->dirty_tail.seg);
	ext->tails[1].off = cpu_to_le32(j->dirty_tail.off);
	ext->tails_crc = cpu_to_le32(crc32c(PCACHE_CRC_SEED, tails, sizeof(tails)));
	ext->state = cpu_to_le32(PCACHE_EXT_CLEAN);
	pcache_slots_write_both(&pc->super.ext_slots, ext);		/* D2 */
}

/**
 * pcache_super_forget_own_place() - key_tail is past the own place.
 * @pc: cache, attached
 *
 * The log may come to that place again, with other numbers; the block must not
 * then make it pass for the beginning of an empty log.
 *
 * Context: may sleep.
 */
void pcache_super_forget_own_place(struct pcache *pc)
{
	struct pcache_super *su = &pc->super;

	mutex_lock(&su->lock);
	su->own_ord = U64_MAX;
	su->ext.own_seg = cpu_to_le32(PCACHE_NO_SEG);
	su->ext.own_off = 0;
	pcache_slots_write_both(&su->ext_slots, &su->ext);		/* R3 */
	mutex_unlock(&su->lock);
}

/**
 * pcache_super_store_options() - Keep gc_percent and cache mode on the medium.
 * @pc: cache, running and not read-only; admin is held
 */
void pcache_super_store_options(struct pcache *pc)
{
	struct pcache_super *su = &pc->super;

	lockdep_assert_held(&pc->admin);
	mutex_lock(&su->lock);
	su->info.flags = info_flags(pc);
	pcache_slots_write_both(&su->info_slots, &su->info);		/* O1 */
	su->ext.info_seq = cpu_to_le32(su->info_slots.seq);
	pcache_slots_write_both(&su->ext_slots, &su->ext);		/* O2 */
	mutex_unlock(&su->lock);
}
