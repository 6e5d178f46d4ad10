// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Seeds for the fuzzers: corpus DIRECTORY writes them to DIRECTORY/medium,
 * DIRECTORY/table and DIRECTORY/script. They are what the fuzzers begin with; what they
 * find interesting is added elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/kernel.h>

#include "edit.h"
#include "format.h"
#include "script.h"

#define SCRIPTS		40
#define SCRIPT_LENGTH	80

static const char *directory;
static u64 state = 1;

/* Even enough, below @n. */
static u32 below(u32 n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

static void save(const char *target, const char *name, u32 nr, const void *data, size_t bytes)
{
	char path[500];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s-%u", directory, target, name, nr);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* Each good medium as it is, and with one change of each kind. */
static void save_media(void)
{
	struct {
		struct edit_head head;
		struct edit edit;
	} __packed in;

	for (u32 base = 0; base < EDIT_BASES; base++) {
		for (u32 how = 0; how < 4; how++) {
			in.head = (struct edit_head) {
				.base = base, .seed = how, .how = how & 1 ? EDIT_CUT : 0,
				.tasks = how * 0x11, .work = 5 | how << 4,
			};
			save("medium", "good", base * 4 + how, &in.head, sizeof(in.head));
		}
		for (u32 kind = 0; kind < EDIT_KINDS; kind++) {
			in.edit = (struct edit) {
				.kind = kind, .op = EDIT_ADD, .field = 3, .which = 1, .value = 1,
			};
			save("medium", "changed", base * EDIT_KINDS + kind, &in, sizeof(in));
		}
	}
}

/*
 * Each field of each structure with values at which some check begins or ends to hold; CRCs
 * fit, so that nothing but that check can refuse it. Fields count modulo how many there are.
 */
static void save_values(u32 base)
{
	static const struct {
		u8 op;
		u64 value;
	} changes[] = {
		{ EDIT_SET, 0 }, { EDIT_SET, 1 }, { EDIT_SET, PCACHE_KSET_KEYS },
		{ EDIT_SET, ~0ULL }, { EDIT_SET, 8 << 20 },
		{ EDIT_XOR, 1 }, { EDIT_XOR, 0x10 }, { EDIT_XOR, 0x8000 }, { EDIT_XOR, 1 << 20 },
		{ EDIT_XOR, 1ULL << 60 }, { EDIT_ADD, 1 }, { EDIT_ADD, -1ULL }, { EDIT_ADD, 512 },
		{ EDIT_ADD, (4 << 20) - 512 },
	};
	struct {
		struct edit_head head;
		struct edit edit;
	} __packed in = {
		.head = { .base = base, .how = EDIT_TAILS_CRC | EDIT_DATA_CRC },
	};
	u32 nr = 0;

	for (u32 kind = EDIT_SUPER; kind <= EDIT_KEY; kind++) {
		u32 fields = kind == EDIT_EXT ? 25 : kind == EDIT_KSET ? 4 : 8;
		u32 all = kind == EDIT_KSET || kind == EDIT_KEY ? 10 : 1;

		for (u32 i = 0; i < fields * all * ARRAY_SIZE(changes); i++) {
			in.edit = (struct edit) {
				.kind = kind, .field = i % fields,
				/* Some ksets are LAST, or the last of a segment. */
				.which = 1 + i / fields % all * 5,
				.op = changes[i / fields / all].op,
				.value = changes[i / fields / all].value,
			};
			save("medium", "value", base * 100000 + nr++, &in, sizeof(in));
		}
	}
}

static void save_tables(void)
{
	static const char *const texts[] = {
		"0 8256 pcache pmem0 vda",
		"0 8256 pcache pmem0 vda writeback true\nflush\nstats\n?\002",
		"!0 8256 pcache pmem0 vda writeback false\ngc_percent 5\n~\ncleaner\n?z\n-",
		"!0 100 pcache 240:0 240:1 10 cache_mode writeback writeback_order fast format "
		"never backing_id my-disk gc_percent 0\nflush_on_suspend\nclear_stats",
		"0 8256 pcache pmem0 vda 2 cache_mode writearound\ncache_mode writeback\n"
		"cache_mode writethrough\n?\002\n~\ncache_mode around",
		"0 8192 pcache pmem0 vda 4 data_crc true gc_percent 90\ngc_percent 91\n~n\nstats",
		"!0 8256 pcache pmem0 vda 2 format force\n@0 8256 pcache pmem0 vda\n-",
		"!0 8256 pcache pmem0 vda 2 format force backing_id x",
		"0 8257 pcache pmem0 vda", "0 8256 pcache vda pmem0", "0 8256 pcache pmem0 pmem0",
		"0 8256 pcache", "0 8256 pcache pmem0 vda 3 a b c",
		"0 8256 pcache pmem0 vda 2 data_crc", "0 8256 pcache pmem0 vda 4294967296",
		"0 8 pcache pmem0 vda\n8 8 pcache pmem0 vda",
		"0 8256 pcache pmem0 vda 2 backing_id a\\\\b",
		"0 8256 pcache pmem0 vda 2 backing_id a\\ b",
		"0 8256 pcache pmem0 vda 2 backing_id "
		"123456789012345678901234567890123456789012345678901234567890123",
		"0 8256 pcache pmem0 vda 2 backing_id "
		"1234567890123456789012345678901234567890123456789012345678901234",
	};

	for (u32 i = 0; i < ARRAY_SIZE(texts); i++)
		save("table", "line", i, texts[i], strlen(texts[i]));
}

/* Of a load with now and then something else. */
static struct script_op draw_op(void)
{
	static const u8 often[] = {
		SCRIPT_WRITE, SCRIPT_WRITE, SCRIPT_WRITE, SCRIPT_WRITE_MORE, SCRIPT_READ,
		SCRIPT_READ, SCRIPT_FLUSH, SCRIPT_WAIT,
	};
	struct script_op op = {
		.kind = often[below(ARRAY_SIZE(often))], .a = below(256), .b = below(12),
		.c = below(4) ? 0 : below(256),
	};

	if (!below(8))
		op.kind = SCRIPT_SLEEP + below(SCRIPT_CUT - SCRIPT_SLEEP + 1);
	else if (!below(20))
		op.kind = below(SCRIPT_KINDS);
	return op;
}

static void save_scripts(void)
{
	static const u8 gc_percents[] = { 70, 0, 90, 30 };
	struct {
		struct script_head head;
		struct script_op op[SCRIPT_LENGTH];
	} __packed in;

	for (u32 i = 0; i < SCRIPTS; i++) {
		in.head = (struct script_head) {
			.seed = i, .segs = below(17), .sectors = below(15), .how = below(32),
			.gc_percent = gc_percents[below(4)], .tasks = below(64), .jump = below(60),
			.latency = below(2) * below(256),
		};
		for (u32 k = 0; k < SCRIPT_LENGTH; k++)
			in.op[k] = draw_op();
		save("script", "load", i, &in, sizeof(in));
	}
}

/*
 * Scripts that found a mistake:
 * - after an attach a write went around the cache, over a key that had been logged again
 *   and that the index had forgotten with the older one of the same place
 */
static void save_found(void)
{
	static const u8 around[] = {
		0x42, 0x04, 0xb6, 0x1b, 0x00, 0x36, 0x21, 0x00,
		SCRIPT_MESSAGE, 0x16, 0x02, 0x00,
		SCRIPT_WRITE_MORE, 0xc2, 0x0a, 0x00,
		SCRIPT_DISK_BAD, 0xee, 0x06, 0x26,
		SCRIPT_ATTACH, 0xaa, 0x08, 0x00,
		SCRIPT_WRITE_MORE, 0xbd, 0x0a, 0x39,
	};

	save("script", "found", 0, around, sizeof(around));
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: corpus DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	mkdir(directory, 0777);
	save_media();
	save_values(4);
	save_values(6);
	save_tables();
	save_scripts();
	save_found();
	return 0;
}
