// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzer of table lines and messages. An input is text: the first line is a table's
 * (with '!' before it: over a cache that holds data, otherwise over a blank one), the
 * others are done one after another with what came of it:
 *
 *	?X	status of each kind, into a buffer whose size X says
 *	@LINE	this table is loaded while the first one is live
 *	~	suspend and resume; with a second character: noflush
 *	-	detach, and attach with the table line that was printed
 *	else	a message
 *
 * What is refused is refused with a message and changes neither device. What is printed
 * as the table is taken back, and is printed again in the same way. No buffer is
 * written beyond its end, and all that is printed into one is terminated.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "disk-model.h"
#include "format.h"
#include "pmem-model.h"
#include "sample.h"
#include "world.h"

#define MAX_TEXT	1000
#define BIG		4000

static struct {
	struct sample blank, full;
	const struct sample *sample;
	char text[MAX_TEXT + 1];
	char *line[MAX_TEXT + 1];
	u32 nr_lines;
	bool attached;
	struct mapped_device *md;
	u32 words;			/* of the status line */
} tb;

static u32 words_of(const char *text)
{
	u32 n = 0;

	for (; *text; text++)
		n += !isspace(*text) && (isspace(text[1]) || !text[1]);
	return n;
}

static void print_all_statuses(size_t bytes)
{
	static const status_type_t types[] = {
		STATUSTYPE_INFO, STATUSTYPE_TABLE, STATUSTYPE_IMA,
	};

	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		char *buf = kmalloc(bytes, GFP_KERNEL | __GFP_NOFAIL);

		memset(buf, 'x', bytes);
		dm_host_status(tb.md, types[i], 0, buf, bytes);
		if (!memchr(buf, 0, bytes))
			sim_fail("status of type %u is not terminated", i);
		kfree(buf);
	}
}

/* The status line's words are read by their place. */
static void check_status(void)
{
	char status[BIG];
	u32 n;

	fuzz_status(tb.md, STATUSTYPE_INFO, status, sizeof(status));
	n = words_of(status);
	if (tb.words && n != tb.words)
		sim_fail("status has %u words, it had %u: %s", n, tb.words, status);
	tb.words = n;
}

static void send(const char *message, size_t bytes)
{
	char *result = kmalloc(bytes, GFP_KERNEL | __GFP_NOFAIL);
	u32 before = fuzz_log_lines();
	int r;

	memset(result, 'x', bytes);
	r = dm_host_message(tb.md, message, result, bytes);
	if (r > 0 && !memchr(result, 0, bytes))
		sim_fail("the answer to a message is not terminated");
	if (r == -EINVAL && words_of(message) && fuzz_log_lines() == before)
		sim_fail("a message is refused, and nothing is said: %s", message);
	kfree(result);
}

static void load_another(const char *line)
{
	char error[FUZZ_ERROR] = "";

	if (!dm_host_load(tb.md, line, false, error, sizeof(error)))
		sim_fail("a second table is taken while the first one is live");
	if (!error[0])
		sim_fail("a second table is refused without a message");
	dm_host_clear(tb.md);
}

static void suspend_and_resume(bool noflush)
{
	int r = dm_host_suspend(tb.md, noflush);

	if (!r)
		r = dm_host_resume(tb.md);
	if (r)
		sim_fail("suspend and resume: %d", r);
}

static void attach_again(void)
{
	char printed[BIG], again[BIG], error[FUZZ_ERROR];

	fuzz_status(tb.md, STATUSTYPE_TABLE, printed, sizeof(printed));
	fuzz_detach(tb.md);
	tb.md = fuzz_attach(printed, false, error);
	if (!tb.md)
		sim_fail("what was printed is not taken back: %s: %s", printed, error);
	fuzz_status(tb.md, STATUSTYPE_TABLE, again, sizeof(again));
	if (strcmp(printed, again))
		sim_fail("%s is now printed as %s", printed, again);
}

static void do_line(const char *line)
{
	static const u16 sizes[] = { 2048, 1, 2, 17, 40, 64, 200, 600 };

	switch (line[0]) {
	case '?':
		/* The host itself prints "START LENGTH TYPE " first. */
		print_all_statuses(40 + 4 * (u8)line[1]);
		check_status();
		break;
	case '@':
		load_another(line + 1);
		break;
	case '~':
		suspend_and_resume(line[1]);
		break;
	case '-':
		attach_again();
		break;
	default:
		send(line, sizes[strlen(line) % ARRAY_SIZE(sizes)]);
	}
}

static void use(void *arg)
{
	char error[FUZZ_ERROR];

	tb.words = 0;
	tb.md = fuzz_attach(tb.line[0], false, error);
	tb.attached = tb.md;
	if (!tb.md)
		return;
	for (u32 i = 1; i < tb.nr_lines; i++)
		do_line(tb.line[i]);
	check_status();
	attach_again();
	fuzz_detach(tb.md);
}

static void split(const u8 *data, size_t size)
{
	char *at = tb.text, *end;

	size = min_t(size_t, size, MAX_TEXT);
	memcpy(tb.text, data, size);
	tb.text[size] = '\0';
	tb.sample = tb.text[0] == '!' ? &tb.full : &tb.blank;
	at += tb.text[0] == '!';
	tb.nr_lines = 0;
	while ((end = strchr(at, '\n'))) {
		*end = '\0';
		tb.line[tb.nr_lines++] = at;
		at = end + 1;
	}
	tb.line[tb.nr_lines++] = at;
}

static void check_untouched(void)
{
	if (memcmp(pmem_model_view(), tb.sample->media, tb.sample->bytes))
		fuzz_wrong("refused, but the medium is changed");
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		if (memcmp(disk_model_sector(SAMPLE_FIRST + i), tb.sample->disk[i], SECTOR_SIZE))
			fuzz_wrong("refused, but the backing device is changed");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_init();
	tb.blank = (struct sample) { .load = SAMPLE_BLANK, .segs = 8 };
	tb.full = (struct sample) { .load = SAMPLE_LIGHT, .segs = 9, .detached = true };
	sample_make(&tb.blank);
	sample_make(&tb.full);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const struct sim_config config = { .seed = 1, .cpus = 2, .max_points = FUZZ_POINTS };
	enum sim_end end;

	split(data, size);
	sample_load(tb.sample);
	if (!fuzz_world(&config, use, NULL, &end))
		fuzz_give_up();
	if (!tb.attached)
		check_untouched();
	return 0;
}
