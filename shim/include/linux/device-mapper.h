/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_DEVICE_MAPPER_H
#define SHIM_LINUX_DEVICE_MAPPER_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/ratelimit.h>

struct dm_table;
struct dm_target;
struct mapped_device;

#define DM_TYPE_NONE 0
#define DM_NAME_LEN 128

typedef enum {
	STATUSTYPE_INFO,
	STATUSTYPE_TABLE,
	STATUSTYPE_IMA,
} status_type_t;

struct dm_dev {
	struct block_device *bdev;
	struct file *bdev_file;
	struct dax_device *dax_dev;
	blk_mode_t mode;
	char name[16];
};

typedef int (*dm_ctr_fn)(struct dm_target *ti, unsigned int argc, char **argv);
typedef void (*dm_dtr_fn)(struct dm_target *ti);
typedef int (*dm_map_fn)(struct dm_target *ti, struct bio *bio);
typedef int (*dm_endio_fn)(struct dm_target *ti, struct bio *bio,
			   blk_status_t *error);
typedef void (*dm_presuspend_fn)(struct dm_target *ti);
typedef void (*dm_presuspend_undo_fn)(struct dm_target *ti);
typedef void (*dm_postsuspend_fn)(struct dm_target *ti);
typedef int (*dm_preresume_fn)(struct dm_target *ti);
typedef void (*dm_resume_fn)(struct dm_target *ti);
typedef void (*dm_status_fn)(struct dm_target *ti, status_type_t type,
			     unsigned int status_flags, char *result,
			     unsigned int maxlen);
typedef int (*dm_message_fn)(struct dm_target *ti, unsigned int argc,
			     char **argv, char *result, unsigned int maxlen);
typedef int (*dm_busy_fn)(struct dm_target *ti);
typedef int (*iterate_devices_callout_fn)(struct dm_target *ti,
					  struct dm_dev *dev, sector_t start,
					  sector_t len, void *data);
typedef int (*dm_iterate_devices_fn)(struct dm_target *ti,
				     iterate_devices_callout_fn fn,
				     void *data);
typedef void (*dm_io_hints_fn)(struct dm_target *ti,
			       struct queue_limits *limits);

struct target_type {
	u64 features;
	const char *name;
	struct module *module;
	unsigned int version[3];
	dm_ctr_fn ctr;
	dm_dtr_fn dtr;
	dm_map_fn map;
	dm_endio_fn end_io;
	dm_presuspend_fn presuspend;
	dm_presuspend_undo_fn presuspend_undo;
	dm_postsuspend_fn postsuspend;
	dm_preresume_fn preresume;
	dm_resume_fn resume;
	dm_status_fn status;
	dm_message_fn message;
	dm_busy_fn busy;
	dm_iterate_devices_fn iterate_devices;
	dm_io_hints_fn io_hints;
	struct list_head list;
};

#define DM_TARGET_SINGLETON 0x1
#define DM_TARGET_ALWAYS_WRITEABLE 0x2
#define DM_TARGET_IMMUTABLE 0x4
#define DM_TARGET_WILDCARD 0x8
#define DM_TARGET_PASSES_INTEGRITY 0x20
#define DM_TARGET_NOWAIT 0x80
#define DM_TARGET_MIXED_ZONED_MODEL 0x200

struct dm_target {
	struct dm_table *table;
	struct target_type *type;
	sector_t begin;
	sector_t len;
	u32 max_io_len;
	unsigned int num_flush_bios;
	unsigned int num_discard_bios;
	unsigned int num_secure_erase_bios;
	unsigned int num_write_zeroes_bios;
	unsigned int per_io_data_size;
	void *private;
	char *error;
	bool flush_supported:1;
	bool discards_supported:1;
	bool max_discard_granularity:1;
	bool limit_swap_bios:1;
	bool emulate_zone_append:1;
	bool accounts_remapped_io:1;
	bool needs_bio_set_dev:1;
	bool flush_bypasses_map:1;
	bool mempool_needs_integrity:1;
	bool zone_reset_all_supported:1;
};

/* What map() and end_io() give back. */
#define DM_MAPIO_SUBMITTED 0
#define DM_MAPIO_REMAPPED 1
#define DM_MAPIO_REQUEUE 2
#define DM_MAPIO_DELAY_REQUEUE 3
#define DM_MAPIO_KILL 4
#define DM_ENDIO_DONE 0
#define DM_ENDIO_INCOMPLETE 1
#define DM_ENDIO_REQUEUE 2
#define DM_ENDIO_DELAY_REQUEUE 3

#define DM_STATUS_NOFLUSH_FLAG (1u << 11)

int dm_register_target(struct target_type *type);
void dm_unregister_target(struct target_type *type);

int dm_get_device(struct dm_target *ti, const char *path, blk_mode_t mode,
		  struct dm_dev **result);
void dm_put_device(struct dm_target *ti, struct dm_dev *dev);

sector_t dm_table_get_size(struct dm_table *t);
blk_mode_t dm_table_get_mode(struct dm_table *t);
struct mapped_device *dm_table_get_md(struct dm_table *t);
const char *dm_table_device_name(struct dm_table *t);
void dm_table_event(struct dm_table *t);
const char *dm_device_name(struct mapped_device *md);
struct gendisk *dm_disk(struct mapped_device *md);
int dm_suspended(struct dm_target *ti);
int dm_post_suspending(struct dm_target *ti);
int dm_noflush_suspending(struct dm_target *ti);
int dm_set_target_max_io_len(struct dm_target *ti, sector_t len);
void dm_accept_partial_bio(struct bio *bio, unsigned int nr_sectors);
void dm_submit_bio_remap(struct bio *clone, struct bio *tgt_clone);
void *dm_per_bio_data(struct bio *bio, size_t data_size);
struct bio *dm_bio_from_per_bio_data(void *data, size_t data_size);
unsigned int dm_bio_get_target_bio_nr(const struct bio *bio);

#define dm_target_offset(ti, sector) ((sector) - (ti)->begin)

static inline sector_t to_sector(unsigned long long n)
{
	return n >> SECTOR_SHIFT;
}

static inline unsigned long to_bytes(sector_t n)
{
	return n << SECTOR_SHIFT;
}

/* Arguments of a constructor or message. */
struct dm_arg_set {
	unsigned int argc;
	char **argv;
};

struct dm_arg {
	unsigned int min;
	unsigned int max;
	char *error;
};

int dm_read_arg(const struct dm_arg *arg, struct dm_arg_set *as,
		unsigned int *value, char **error);
int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *as,
		      unsigned int *num_args, char **error);
const char *dm_shift_arg(struct dm_arg_set *as);
void dm_consume_args(struct dm_arg_set *as, unsigned int num_args);
int dm_split_args(int *argc, char ***argv, char *input);

#define DM_NAME "device-mapper"
#define DM_FMT(fmt) DM_NAME ": " DM_MSG_PREFIX ": " fmt "\n"
#define DMCRIT(fmt, ...) printk(KERN_CRIT DM_FMT(fmt), ##__VA_ARGS__)
#define DMERR(fmt, ...) printk(KERN_ERR DM_FMT(fmt), ##__VA_ARGS__)
#define DMWARN(fmt, ...) printk(KERN_WARNING DM_FMT(fmt), ##__VA_ARGS__)
#define DMINFO(fmt, ...) printk(KERN_INFO DM_FMT(fmt), ##__VA_ARGS__)
#define DMDEBUG(fmt, ...) no_printk(KERN_DEBUG DM_FMT(fmt), ##__VA_ARGS__)
#define DMERR_LIMIT(fmt, ...) shim_ratelimited(DMERR, fmt, ##__VA_ARGS__)
#define DMWARN_LIMIT(fmt, ...) shim_ratelimited(DMWARN, fmt, ##__VA_ARGS__)
#define DMINFO_LIMIT(fmt, ...) shim_ratelimited(DMINFO, fmt, ##__VA_ARGS__)
#define DMDEBUG_LIMIT(fmt, ...) DMDEBUG(fmt, ##__VA_ARGS__)

#define DMEMIT(fmt, ...)						\
	(sz += sz >= maxlen ? 0 :					\
	 scnprintf(result + sz, maxlen - sz, fmt, ##__VA_ARGS__))
#define DMEMIT_TARGET_NAME_VERSION(y)					\
	DMEMIT("target_name=%s,target_version=%u.%u.%u", (y)->name,	\
	       (y)->version[0], (y)->version[1], (y)->version[2])

#define module_dm(name)							\
static int dm_##name##_init(void)					\
{									\
	return dm_register_target(&name##_target);			\
}									\
static void dm_##name##_exit(void)					\
{									\
	dm_unregister_target(&name##_target);				\
}									\
module_init(dm_##name##_init)						\
module_exit(dm_##name##_exit)

#endif
