// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Options and messages: one table says for each name where it may stand, how it
 * is parsed, set at run time and printed. The constructor, the table line, what is
 * measured for IMA and messages all come from it. Status is printed here too.
 */
#include <linux/bitfield.h>
#include <linux/ctype.h>
#include <linux/kstrtox.h>
#include <linux/string.h>

#include "pcache.h"

/**
 * struct option - one option of the table line
 * @name: its name
 * @id: its bit in pcache_options.given
 * @expected: what values are allowed, for an error text
 * @parse: takes a value into the options; false: not allowed
 * @set: takes the parsed value into a running cache; NULL: not at run time
 * @print: the value, for the table line
 */
struct option {
	const char *name;
	enum pcache_option id;
	const char *expected;
	bool (*parse)(const char *value, struct pcache_options *o);
	int (*set)(struct pcache *pc, const struct pcache_options *o);
	int (*print)(const struct pcache_options *o, char *buf, size_t bytes);
};

static const char * const mode_names[] = {
	[PCACHE_WRITEBACK] = "writeback",
	[PCACHE_WRITETHROUGH] = "writethrough",
	[PCACHE_WRITEAROUND] = "writearound",
	[PCACHE_WRITEONLY] = "writeonly",
};

static bool parse_cache_mode(const char *value, struct pcache_options *o)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (strcmp(value, mode_names[i]))
			continue;
		o->mode = i;
		return true;
	}
	return false;
}

static int set_cache_mode(struct pcache *pc, const struct pcache_options *o)
{
	int r = pcache_set_mode(pc, o->mode);

	if (r) {
		pcache_warn(pc, "cache_mode stays %s: not all that is dirty was written back (%d)",
			    mode_names[pc->mode], r);
		return r;
	}
	pcache_super_store_options(pc);
	pcache_info(pc, "cache_mode is %s", mode_names[o->mode]);
	pcache_event(pc);
	return 0;
}

static int print_cache_mode(const struct pcache_options *o, char *buf, size_t bytes)
{
	return scnprintf(buf, bytes, "%s", mode_names[o->mode]);
}

/* What holds: a mode that needs a clean cache is not there while it is cleaned. */
static const char *mode_now(struct pcache *pc, bool settled)
{
	enum pcache_mode mode = pcache_mode_now(pc);

	if (pcache_mode_is_through(mode) && !settled && READ_ONCE(pc->state) == PCACHE_RW)
		mode = PCACHE_WRITEBACK;
	return mode_names[mode];
}

static bool parse_data_crc(const char *value, struct pcache_options *o)
{
	o->data_crc = !strcmp(value, "true");
	return o->data_crc || !strcmp(value, "false");
}

static int print_data_crc(const struct pcache_options *o, char *buf, size_t bytes)
{
	return scnprintf(buf, bytes, "%s", o->data_crc ? "true" : "false");
}

static bool parse_gc_percent(const char *value, struct pcache_options *o)
{
	return !kstrtouint(value, 10, &o->gc_percent) && o->gc_percent <= PCACHE_GC_PERCENT_MAX;
}

static int set_gc_percent(struct pcache *pc, const struct pcache_options *o)
{
	WRITE_ONCE(pc->gc_percent, o->gc_percent);
	pcache_super_store_options(pc);
	pcache_reclaim_wake(pc);
	return 0;
}

static int print_gc_percent(const struct pcache_options *o, char *buf, size_t bytes)
{
	return scnprintf(buf, bytes, "%u", o->gc_percent);
}

static bool parse_order(const char *value, struct pcache_options *o)
{
	o->ordered = !strcmp(value, "ordered");
	return o->ordered || !strcmp(value, "fast");
}

static int print_order(const struct pcache_options *o, char *buf, size_t bytes)
{
	return scnprintf(buf, bytes, "%s", o->ordered ? "ordered" : "fast");
}

static bool parse_cutoff(const char *value, struct pcache_options *o)
{
	return !kstrtouint(value, 10, &o->cutoff_kb) && o->cutoff_kb <= PCACHE_CUTOFF_KB_MAX;
}

static int set_cutoff(struct pcache *pc, const struct pcache_options *o)
{
	WRITE_ONCE(pc->cutoff_sectors, o->cutoff_kb << (10 - SECTOR_SHIFT));
	return 0;
}

static int print_cutoff(const struct pcache_options *o, char *buf, size_t bytes)
{
	return scnprintf(buf, bytes, "%u", o->cutoff_kb);
}

static bool parse_eviction(const char *value, struct pcache_options *o)
{
	o->clock = !strcmp(value, "clock");
	return o->clock || !strcmp(value, "fifo");
}

static int set_eviction(struct pcache *pc, const struct pcache_options *o)
{
	WRITE_ONCE(pc->clock, o->clock);
	return 0;
}

static int print_eviction(const struct pcache_options *o, char *buf, size_t bytes)
{
	return scnprintf(buf, bytes, "%s", o->clock ? "clock" : "fifo");
}

static bool parse_writeback_delay(const char *value, struct pcache_options *o)
{
	return !kstrtouint(value, 10, &o->writeback_delay_ms) &&
	       o->writeback_delay_ms <= PCACHE_WRITEBACK_DELAY_MAX_MS;
}

static int set_writeback_delay(struct pcache *pc, const struct pcache_options *o)
{
	WRITE_ONCE(pc->writeback_delay_ms, o->writeback_delay_ms);
	pcache_writeback_wake(pc);
	return 0;
}

/* No delay goes without saying. */
static int print_writeback_delay(const struct pcache_options *o, char *buf, size_t bytes)
{
	return o->writeback_delay_ms ? scnprintf(buf, bytes, "%u", o->writeback_delay_ms) : 0;
}

static bool parse_percent(const char *value, u32 *percent)
{
	return !kstrtouint(value, 10, percent) && *percent <= 100;
}

static bool parse_dirty_low(const char *value, struct pcache_options *o)
{
	return parse_percent(value, &o->dirty_low_percent);
}

static bool parse_dirty_high(const char *value, struct pcache_options *o)
{
	return parse_percent(value, &o->dirty_high_percent);
}

static int set_dirty_low(struct pcache *pc, const struct pcache_options *o)
{
	WRITE_ONCE(pc->dirty_low_percent, o->dirty_low_percent);
	pcache_writeback_marks_changed(pc);
	return 0;
}

static int set_dirty_high(struct pcache *pc, const struct pcache_options *o)
{
	WRITE_ONCE(pc->dirty_high_percent, o->dirty_high_percent);
	pcache_writeback_marks_changed(pc);
	return 0;
}

/* What goes without saying is not printed. */
static int print_mark(u32 percent, u32 otherwise, char *buf, size_t bytes)
{
	return percent != otherwise ? scnprintf(buf, bytes, "%u", percent) : 0;
}

static int print_dirty_low(const struct pcache_options *o, char *buf, size_t bytes)
{
	return print_mark(o->dirty_low_percent, PCACHE_DIRTY_LOW_DEFAULT, buf, bytes);
}

static int print_dirty_high(const struct pcache_options *o, char *buf, size_t bytes)
{
	return print_mark(o->dirty_high_percent, PCACHE_DIRTY_HIGH_DEFAULT, buf, bytes);
}

static const char * const copy_names[] = {
	[PCACHE_COPY_AUTO] = "auto",
	[PCACHE_COPY_NT] = "nt",
	[PCACHE_COPY_CLWB] = "clwb",
};

static bool parse_copy(const char *value, struct pcache_options *o)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(copy_names); i++) {
		if (strcmp(value, copy_names[i]))
			continue;
		o->copy = i;
		return true;
	}
	return false;
}

static int set_copy(struct pcache *pc, const struct pcache_options *o)
{
	pcache_copy_choose(pc, o->copy);
	return 0;
}

/* "auto" goes without saying; status has what it comes to. */
static int print_copy(const struct pcache_options *o, char *buf, size_t bytes)
{
	return o->copy != PCACHE_COPY_AUTO ? scnprintf(buf, bytes, "%s", copy_names[o->copy]) : 0;
}

static bool parse_format(const char *value, struct pcache_options *o)
{
	if (!strcmp(value, "auto"))
		o->format = PCACHE_FORMAT_AUTO;
	else if (!strcmp(value, "never"))
		o->format = PCACHE_FORMAT_NEVER;
	else if (!strcmp(value, "force"))
		o->format = PCACHE_FORMAT_FORCE;
	else
		return false;
	return true;
}

/* "force" is for once, and "auto" goes without saying. */
static int print_format(const struct pcache_options *o, char *buf, size_t bytes)
{
	return o->format == PCACHE_FORMAT_NEVER ? scnprintf(buf, bytes, "never") : 0;
}

static bool parse_backing_id(const char *value, struct pcache_options *o)
{
	const char *c;

	/* The table line that is printed has to be taken back. */
	for (c = value; *c; c++)
		if (!isgraph(*c) || *c == '\\')
			return false;
	memset(o->backing_id, 0, sizeof(o->backing_id));
	return value[0] && strscpy(o->backing_id, value, sizeof(o->backing_id)) > 0;
}

static int print_backing_id(const struct pcache_options *o, char *buf, size_t bytes)
{
	if (!test_bit(PCACHE_OPT_BACKING_ID, &o->given))
		return 0;
	return scnprintf(buf, bytes, "%s", o->backing_id);
}

static const struct option options[] = {
	{ "cache_mode", PCACHE_OPT_CACHE_MODE, "writeback, writethrough, writearound or writeonly",
	  parse_cache_mode, set_cache_mode, print_cache_mode },
	{ "data_crc", PCACHE_OPT_DATA_CRC, "true or false",
	  parse_data_crc, NULL, print_data_crc },
	{ "gc_percent", PCACHE_OPT_GC_PERCENT, "0 to 90",
	  parse_gc_percent, set_gc_percent, print_gc_percent },
	{ "writeback_order", PCACHE_OPT_ORDER, "ordered or fast",
	  parse_order, NULL, print_order },
	{ "sequential_cutoff_kb", PCACHE_OPT_CUTOFF, "0 to 1048576",
	  parse_cutoff, set_cutoff, print_cutoff },
	{ "eviction", PCACHE_OPT_EVICTION, "fifo or clock",
	  parse_eviction, set_eviction, print_eviction },
	{ "writeback_delay_ms", PCACHE_OPT_WRITEBACK_DELAY, "0 to 3600000",
	  parse_writeback_delay, set_writeback_delay, print_writeback_delay },
	{ "dirty_low_percent", PCACHE_OPT_DIRTY_LOW, "0 to 100",
	  parse_dirty_low, set_dirty_low, print_dirty_low },
	{ "dirty_high_percent", PCACHE_OPT_DIRTY_HIGH, "0 to 100",
	  parse_dirty_high, set_dirty_high, print_dirty_high },
	{ "copy", PCACHE_OPT_COPY, "auto, nt or clwb",
	  parse_copy, set_copy, print_copy },
	{ "format", PCACHE_OPT_FORMAT, "auto, never or force",
	  parse_format, NULL, print_format },
	{ "backing_id", PCACHE_OPT_BACKING_ID, "1 to 63 printable characters without space and backslash",
	  parse_backing_id, NULL, print_backing_id },
};

static const struct option *find_option(const char *name)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

static int parse_option(const char *name, const char *value, struct pcache_options *o,
			char *why, size_t why_bytes)
{
	const struct option *opt = find_option(name);

	if (!opt) {
		scnprintf(why, why_bytes, "Unknown option %s", name);
		return -EINVAL;
	}
	if (test_and_set_bit(opt->id, &o->given)) {
		scnprintf(why, why_bytes, "Option %s is given twice", name);
		return -EINVAL;
	}
	if (!opt->parse(value, o)) {
		scnprintf(why, why_bytes, "Option %s: %s is not allowed, expected %s",
			  name, value, opt->expected);
		return -EINVAL;
	}
	return 0;
}

static void default_options(struct pcache_options *o)
{
	memset(o, 0, sizeof(*o));
	o->gc_percent = PCACHE_GC_PERCENT_DEFAULT;
	o->ordered = true;
	o->clock = true;
	o->dirty_low_percent = PCACHE_DIRTY_LOW_DEFAULT;
	o->dirty_high_percent = PCACHE_DIRTY_HIGH_DEFAULT;
	o->format = PCACHE_FORMAT_AUTO;
}

/**
 * pcache_parse_options() - Parse what follows the devices in a table line.
 * @argc: how many words
 * @argv: either nothing, or a count and as many words, names and values in turn;
 *	  or, as first published, a cache mode and the value of data_crc
 * @o: gets the options
 * @why: gets what is wrong
 * @why_bytes: its size
 *
 * Return: 0 or -EINVAL.
 */
int pcache_parse_options(unsigned int argc, char **argv, struct pcache_options *o,
			 char *why, size_t why_bytes)
{
	unsigned int words, i;
	int r;

	default_options(o);
	if (argc == 0)
		return 0;
	if (kstrtouint(argv[0], 10, &words)) {
		if (argc != 2) {
			scnprintf(why, why_bytes,
				  "Expected a number of words behind the devices, or cache_mode and data_crc, not %s",
				  argv[0]);
			return -EINVAL;
		}
		return parse_option("cache_mode", argv[0], o, why, why_bytes) ?:
		       parse_option("data_crc", argv[1], o, why, why_bytes);
	}
	if (words != argc - 1 || words % 2) {
		scnprintf(why, why_bytes,
			  "Expected %u words of options in pairs of name and value, found %u",
			  words, argc - 1);
		return -EINVAL;
	}
	for (i = 1; i < argc; i += 2) {
		r = parse_option(argv[i], argv[i + 1], o, why, why_bytes);
		if (r)
			return r;
	}
	return 0;
}

/*
 * What @line comes to: of what may change on the way, as it is now with a @live one, and
 * as it would be at the resume with another.
 */
static void options_of(struct pcache *pc, const struct pcache_options *line, bool live,
		       struct pcache_options *o)
{
	*o = *line;
	o->data_crc = pc->data_crc;
	if (live || !test_bit(PCACHE_OPT_CACHE_MODE, &line->given))
		o->mode = READ_ONCE(pc->mode);
	if (live || !test_bit(PCACHE_OPT_GC_PERCENT, &line->given))
		o->gc_percent = READ_ONCE(pc->gc_percent);
	if (live) {
		o->cutoff_kb = READ_ONCE(pc->cutoff_sectors) >> (10 - SECTOR_SHIFT);
		o->clock = READ_ONCE(pc->clock);
		o->copy = READ_ONCE(pc->copy);
		o->writeback_delay_ms = READ_ONCE(pc->writeback_delay_ms);
		o->dirty_low_percent = READ_ONCE(pc->dirty_low_percent);
		o->dirty_high_percent = READ_ONCE(pc->dirty_high_percent);
	}
}

/**
 * pcache_print_options() - The options part of the table line.
 * @pc: cache
 * @line: what the table was loaded with
 * @live: it is the one that holds; else it would take over at a resume
 * @result: buffer
 * @maxlen: its size
 *
 * Return: bytes written. pcache_parse_options() takes it back.
 */
int pcache_print_options(struct pcache *pc, const struct pcache_options *line, bool live,
			 char *result, unsigned int maxlen)
{
	char value[PCACHE_BACKING_ID_BYTES];
	unsigned int sz = 0, words = 0, pass, i;
	struct pcache_options o;

	options_of(pc, line, live, &o);
	for (pass = 0; pass < 2; pass++) {
		if (pass)
			sz += scnprintf(result + sz, maxlen - sz, "%u", words);
		for (i = 0; i < ARRAY_SIZE(options); i++) {
			if (!options[i].print(&o, value, sizeof(value)))
				continue;
			words += 2;
			if (pass)
				sz += scnprintf(result + sz, maxlen - sz, " %s %s",
						options[i].name, value);
		}
	}
	return sz;
}

/* A value, with a backslash before what separates values. */
static unsigned int print_escaped(const char *value, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	for (; *value; value++)
		sz += scnprintf(result + sz, maxlen - sz, "%s%c",
				strchr(",;=\\", *value) ? "\\" : "", *value);
	return sz;
}

/**
 * pcache_print_ima() - The cache's part of what is measured for IMA.
 * @pc: cache
 * @line: as for pcache_print_options()
 * @live: likewise
 * @read_only: the table's mode
 * @result: buffer
 * @maxlen: its size
 *
 * Return: bytes written: options as in the table line, each as ",name=value".
 */
int pcache_print_ima(struct pcache *pc, const struct pcache_options *line, bool live,
		     bool read_only, char *result, unsigned int maxlen)
{
	char value[PCACHE_BACKING_ID_BYTES];
	struct pcache_options o;
	unsigned int sz, i;

	options_of(pc, line, live, &o);
	sz = scnprintf(result, maxlen, ",read_only=%c", read_only ? 'y' : 'n');
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (!options[i].print(&o, value, sizeof(value)))
			continue;
		sz += scnprintf(result + sz, maxlen - sz, ",%s=", options[i].name);
		sz += print_escaped(value, result + sz, maxlen - sz);
	}
	return sz;
}

/**
 * pcache_print_status() - The status line.
 * @pc: cache
 * @result: buffer
 * @maxlen: its size
 *
 * Return: bytes written. Waits for nothing.
 */
int pcache_print_status(struct pcache *pc, char *result, unsigned int maxlen)
{
	struct pcache_places at;
	unsigned int sz, i;

	pcache_journal_places(pc, &at);
	sz = scnprintf(result, maxlen, "%x %u %u %u %u %x %u:%u %u:%u %u:%u %s %s %s",
		       pc->super.sb_flags, READ_ONCE(pc->super.seg_total), READ_ONCE(pc->n_segs),
		       pcache_segs_used(pc), READ_ONCE(pc->gc_percent),
		       le32_to_cpu(pc->super.info.flags), at.durable.seg, at.durable.off,
		       at.dirty_tail.seg, at.dirty_tail.off, at.key_tail.seg, at.key_tail.off,
		       mode_now(pc, at.settled),
		       pcache_state_name(READ_ONCE(pc->state)),
		       pc->damage.found ? "needs_check" : "-");
	for (i = 0; i < PCACHE_STATS; i++)
		sz += scnprintf(result + sz, maxlen - sz, " %llu",
				(unsigned long long)pcache_stat(pc, i));
	sz += scnprintf(result + sz, maxlen - sz, " %s %s %s",
			READ_ONCE(pc->io.no_room) ? "no_room" : "-",
			READ_ONCE(pc->worn) ? "worn" : "-",
			READ_ONCE(pc->copy_cached) ? "clwb" : "nt");
	return sz;
}

static int msg_cleaner(struct pcache *pc)
{
	WRITE_ONCE(pc->cleaner, true);
	pcache_writeback_wake(pc);
	return pcache_journal_sync(pc);
}

static int msg_flush_on_suspend(struct pcache *pc)
{
	pc->flush_on_suspend = true;
	return 0;
}

static int msg_clear_stats(struct pcache *pc)
{
	pcache_clear_stats(pc);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct pcache *pc);
} plain_messages[] = {
	{ "cleaner", msg_cleaner },
	{ "flush_on_suspend", msg_flush_on_suspend },
	{ "clear_stats", msg_clear_stats },
	{ "resize", pcache_resize },
};

/*
 * Leaving a mode that acknowledges what is dirty: most of it is written back before admin
 * is taken, and while writes still are as they were.
 */
static int clean_for_mode(struct pcache *pc, const char *mode)
{
	struct pcache_options o = { };

	if (!parse_cache_mode(mode, &o) || !pcache_mode_is_through(o.mode) ||
	    pcache_writeback_settled(pc))
		return 0;
	pcache_info(pc, "cache_mode %s: %llu dirty sectors are to be written back first", mode,
		    (unsigned long long)pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS));
	return pcache_writeback_flush(pc, false);
}

static int set_option(struct pcache *pc, const char *name, const char *value)
{
	const struct option *opt = find_option(name);
	struct pcache_options o = pc->options;
	int r;

	if (!opt || !opt->set) {
		pcache_warn(pc, "message: %s is not an option that can be changed at run time",
			    name);
		return -EINVAL;
	}
	if (!opt->parse(value, &o)) {
		pcache_warn(pc, "message: %s %s is not allowed, expected %s", name, value,
			    opt->expected);
		return -EINVAL;
	}
	r = opt->set(pc, &o);
	if (!r)
		pc->options = o;
	return r;
}

static int run_plain(struct pcache *pc, const char *name)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(plain_messages); i++)
		if (!strcmp(plain_messages[i].name, name))
			return plain_messages[i].run(pc);
	pcache_warn(pc, "message: %s is unknown", name);
	return -EINVAL;
}

/**
 * pcache_message() - Carry out a message.
 * @pc: cache
 * @argc: how many words
 * @argv: them
 * @result: buffer for an answer
 * @maxlen: its size
 *
 * Context: may sleep, with "flush" for long; a signal ends that.
 *
 * Return: 1 with an answer, 0 without, or -errno.
 */
int pcache_message(struct pcache *pc, unsigned int argc, char **argv, char *result,
		   unsigned int maxlen)
{
	int r;

	if (argc == 1 && !strcmp(argv[0], "stats")) {
		pcache_print_stats(pc, result, maxlen);
		return 1;
	}
	/* Not under admin: it may take long, and keeps the host from suspending. */
	if (argc == 1 && !strcmp(argv[0], "flush") && READ_ONCE(pc->running))
		return pcache_writeback_flush(pc, false);
	if (argc == 1 && !strcmp(argv[0], "drop") && READ_ONCE(pc->running))
		return pcache_reclaim_drop(pc);
	if (argc == 2 && !strcmp(argv[0], "cache_mode") && READ_ONCE(pc->running)) {
		r = clean_for_mode(pc, argv[1]);
		if (r)
			return r;
	}
	if (mutex_lock_interruptible(&pc->admin))
		return -EINTR;
	if (!pc->running) {
		pcache_warn(pc, "message: %s needs a device that is resumed and not read-only",
			    argv[0]);
		r = -EINVAL;
	} else if (argc == 1) {
		r = run_plain(pc, argv[0]);
	} else if (argc == 2) {
		r = set_option(pc, argv[0], argv[1]);
	} else {
		pcache_warn(pc, "message: expected one or two words, found %u", argc);
		r = -EINVAL;
	}
	mutex_unlock(&pc->admin);
	return r;
}
