// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records that stand twice on the medium.
 *
 * Of two valid slots the one with the newer seq is current. A write goes to
 * the other one, so a power cut leaves the old record or the new one. Where
 * something is built on a record (a tail that has moved on, a tag) both slots
 * have to say it: mainline's first update after an attach overwrites the
 * current slot, and a cut there brings the other one back.
 *
 * Nothing here locks: each record has one writer (see doc/design.rst).
 */
#include <linux/crc32c.h>
#include <linux/string.h>

#include "pcache.h"
#include "pmem.h"

/* The largest record with slots is the extension block. */
#define SLOT_MAX_BYTES	sizeof(struct pcache_media_ext)

/**
 * pcache_crc() - CRC of a record that begins with its CRC.
 * @record: in memory
 * @bytes: its size
 */
u32 pcache_crc(const void *record, size_t bytes)
{
	return crc32c(PCACHE_CRC_SEED, record + sizeof(__le32), bytes - sizeof(__le32));
}

static void *slot_addr(const struct pcache_slots *s, int slot)
{
	return s->base + slot * s->stride;
}

/*
 * Mainline does not set the version of tails and generations, whose slots share a
 * line: it is whatever its stack had.
 */
static bool version_counts(const struct pcache_slots *s)
{
	return s->stride > PCACHE_TAIL_STRIDE;
}

/* Reads one slot into @record; true if it is valid. */
static bool slot_read(const struct pcache_slots *s, int slot, void *record)
{
	const struct pcache_media_header *h = record;

	if (!pmem_read(record, slot_addr(s, slot), s->bytes))
		return false;
	return le32_to_cpu(h->crc) == pcache_crc(record, s->bytes) &&
	       (h->version == 0 || !version_counts(s));
}

/**
 * pcache_slots_init() - Say where a record's slots are.
 * @s: to be filled
 * @base: slot 0, on the medium
 * @stride: bytes from slot 0 to slot 1
 * @bytes: size of the record
 *
 * As if no slot were valid: the first write goes to slot 1 with seq 1.
 */
void pcache_slots_init(struct pcache_slots *s, void *base, u32 stride, u32 bytes)
{
	s->base = base;
	s->stride = stride;
	s->bytes = bytes;
	s->seq = 0;
	s->current_slot = -1;
	s->valid = 0;
}

/**
 * pcache_slots_read() - Find and read the current record.
 * @s: initialized
 * @record: where to; of the record's size
 *
 * Return: false when neither slot is valid.
 */
bool pcache_slots_read(struct pcache_slots *s, void *record)
{
	u8 buf[2][SLOT_MAX_BYTES] __aligned(8);
	const struct pcache_media_header *h[2] = { (void *)buf[0], (void *)buf[1] };
	int i;

	s->valid = 0;
	s->current_slot = -1;
	for (i = 0; i < 2; i++)
		if (slot_read(s, i, buf[i]))
			s->valid |= 1 << i;
	if (!s->valid)
		return false;

	if (s->valid == 3)
		s->current_slot = (s8)(h[1]->seq - h[0]->seq) > 0;
	else
		s->current_slot = s->valid == 2;
	s->seq = h[s->current_slot]->seq;
	memcpy(record, buf[s->current_slot], s->bytes);
	return true;
}

/**
 * pcache_slots_write() - Write the record to the slot that is not current.
 * @s: read, or initialized for the first write
 * @record: complete but for its header
 *
 * It is durable, and current, on return.
 */
void pcache_slots_write(struct pcache_slots *s, void *record)
{
	struct pcache_media_header *h = record;
	int slot = s->current_slot < 0 ? 1 : !s->current_slot;

	h->seq = ++s->seq;
	h->version = 0;
	h->res = 0;
	h->crc = cpu_to_le32(pcache_crc(record, s->bytes));
	pmem_begin();
	pmem_store(slot_addr(s, slot), record, s->bytes);
	pmem_end();
	s->current_slot = slot;
	s->valid |= 1 << slot;
}

/**
 * pcache_slots_write_both() - Make both slots say the same.
 * @s: as for pcache_slots_write()
 * @record: complete but for its header
 */
void pcache_slots_write_both(struct pcache_slots *s, void *record)
{
	pcache_slots_write(s, record);
	pcache_slots_write(s, record);
}

/**
 * pcache_slots_agree() - Are both slots valid, and say the same?
 * @s: read
 */
bool pcache_slots_agree(const struct pcache_slots *s)
{
	u8 buf[2][SLOT_MAX_BYTES] __aligned(8);
	const u32 skip = sizeof(struct pcache_media_header);

	return slot_read(s, 0, buf[0]) && slot_read(s, 1, buf[1]) &&
	       !memcmp(buf[0] + skip, buf[1] + skip, s->bytes - skip);
}

/**
 * pcache_slots_erase() - Make both slots zero, so that neither is valid.
 * @s: initialized; on return as after pcache_slots_init()
 *
 * Durable on return.
 */
void pcache_slots_erase(struct pcache_slots *s)
{
	static const u8 zero[SLOT_MAX_BYTES] __aligned(8);
	int i;

	pmem_begin();
	for (i = 0; i < 2; i++)
		pmem_store(slot_addr(s, i), zero, s->bytes);
	pmem_end();
	pcache_slots_init(s, s->base, s->stride, s->bytes);
}
