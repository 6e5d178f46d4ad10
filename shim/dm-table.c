// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables of the device mapper: targets, their devices and arguments. */
#define DM_MSG_PREFIX "table"
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "dm-core.h"

/* Types of targets */

static DEFINE_MUTEX(types_lock);
static LIST_HEAD(types);

static struct target_type *find_type(const char *name)
{
	struct target_type *tt;

	list_for_each_entry(tt, &types, list)
		if (strcmp(tt->name, name) == 0)
			return tt;
	return NULL;
}

static struct target_type *get_type(const char *name)
{
	struct target_type *tt;

	mutex_lock(&types_lock);
	tt = find_type(name);
	mutex_unlock(&types_lock);
	return tt;
}

int dm_register_target(struct target_type *type)
{
	int ret = 0;

	mutex_lock(&types_lock);
	if (find_type(type->name))
		ret = -EEXIST;
	else
		list_add(&type->list, &types);
	mutex_unlock(&types_lock);
	return ret;
}

void dm_unregister_target(struct target_type *type)
{
	mutex_lock(&types_lock);
	if (find_type(type->name) != type)
		shim_bug("target %s is not registered", type->name);
	list_del(&type->list);
	mutex_unlock(&types_lock);
}

/* Devices */

#define HOST_MAJOR 240

struct known_bdev {
	struct list_head link;
	struct block_device *bdev;
	char number[16];
	unsigned int openers;
};

struct table_dev {
	struct list_head link;
	struct known_bdev *known;
	unsigned int refs;
	struct dm_dev dev;
};

static DEFINE_MUTEX(devs_lock);
static LIST_HEAD(known_bdevs);
static unsigned int next_minor;

static struct known_bdev *find_bdev(const char *path)
{
	struct known_bdev *k;

	list_for_each_entry(k, &known_bdevs, link)
		if (strcmp(k->bdev->name, path) == 0 ||
		    strcmp(k->number, path) == 0)
			return k;
	return NULL;
}

int dm_host_add_bdev(struct block_device *bdev)
{
	struct known_bdev *k;
	int ret = -EEXIST;

	mutex_lock(&devs_lock);
	if (!find_bdev(bdev->name)) {
		k = kzalloc(sizeof(*k), GFP_KERNEL | __GFP_NOFAIL);
		k->bdev = bdev;
		scnprintf(k->number, sizeof(k->number), "%u:%u", HOST_MAJOR,
			  next_minor);
		bdev->bd_dev = HOST_MAJOR << 20 | next_minor++;
		list_add_tail(&k->link, &known_bdevs);
		ret = 0;
	}
	mutex_unlock(&devs_lock);
	return ret;
}

void dm_host_remove_bdev(struct block_device *bdev)
{
	struct known_bdev *k;

	mutex_lock(&devs_lock);
	k = find_bdev(bdev->name);
	if (!k || k->bdev != bdev)
		shim_bug("block device %s is not known", bdev->name);
	if (k->openers)
		shim_bug("block device %s is in use", bdev->name);
	list_del(&k->link);
	mutex_unlock(&devs_lock);
	kfree(k);
}

static int open_dev(struct dm_table *t, struct known_bdev *k, blk_mode_t mode,
		    struct table_dev **result)
{
	struct table_dev *td;

	if (k->bdev->busy)
		return -EBUSY;
	if (bdev_read_only(k->bdev) && (mode & BLK_OPEN_WRITE))
		return -EACCES;
	td = kzalloc(sizeof(*td), GFP_KERNEL | __GFP_NOFAIL);
	td->known = k;
	td->dev.bdev = k->bdev;
	td->dev.dax_dev = k->bdev->dax;
	td->dev.mode = mode;
	strscpy(td->dev.name, k->number, sizeof(td->dev.name));
	k->openers++;
	list_add_tail(&td->link, &t->devices);
	*result = td;
	return 0;
}

int dm_get_device(struct dm_target *ti, const char *path, blk_mode_t mode,
		  struct dm_dev **result)
{
	struct dm_table *t = ti->table;
	struct table_dev *td, *found = NULL;
	struct known_bdev *k;
	int ret = 0;

	might_sleep();
	mutex_lock(&devs_lock);
	k = find_bdev(path);
	if (!k) {
		mutex_unlock(&devs_lock);
		return -ENODEV;
	}
	list_for_each_entry(td, &t->devices, link)
		if (td->known == k)
			found = td;
	if (!found)
		ret = open_dev(t, k, mode, &found);
	else if ((found->dev.mode | mode) != found->dev.mode)
		found->dev.mode |= mode;
	if (!ret) {
		found->refs++;
		*result = &found->dev;
	}
	mutex_unlock(&devs_lock);
	return ret;
}

static void close_dev(struct table_dev *td)
{
	td->known->openers--;
	list_del(&td->link);
	kfree(td);
}

void dm_put_device(struct dm_target *ti, struct dm_dev *dev)
{
	struct table_dev *td = container_of(dev, struct table_dev, dev), *pos;
	bool found = false;

	mutex_lock(&devs_lock);
	list_for_each_entry(pos, &ti->table->devices, link)
		found |= pos == td;
	if (!found)
		shim_bug("dm_put_device() of what the table does not have");
	if (--td->refs == 0)
		close_dev(td);
	mutex_unlock(&devs_lock);
}

/* Arguments */

int dm_split_args(int *argc, char ***argvp, char *input)
{
	char **argv, *end = input;
	int n = 0;

	argv = kmalloc_array(strlen(input) / 2 + 2, sizeof(*argv),
			     GFP_KERNEL | __GFP_NOFAIL);
	for (;;) {
		char *start = skip_spaces(end);

		if (!*start)
			break;
		argv[n++] = start;
		/* A backslash takes the next character as it is. */
		for (end = start; *start && !isspace(*start); start++) {
			if (*start == '\\' && start[1])
				start++;
			*end++ = *start;
		}
		if (*start) {
			*end = '\0';
			end = start + 1;
		} else {
			*end = '\0';
		}
	}
	*argc = n;
	*argvp = argv;
	return 0;
}

static int read_number(const struct dm_arg *arg, struct dm_arg_set *as,
		       unsigned int *value, char **error, bool group)
{
	const char *text = dm_shift_arg(as);
	char dummy;

	if (!text || sscanf(text, "%u%c", value, &dummy) != 1 ||
	    *value < arg->min || *value > arg->max ||
	    (group && as->argc < *value)) {
		*error = arg->error;
		return -EINVAL;
	}
	return 0;
}

int dm_read_arg(const struct dm_arg *arg, struct dm_arg_set *as,
		unsigned int *value, char **error)
{
	return read_number(arg, as, value, error, false);
}

int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *as,
		      unsigned int *num_args, char **error)
{
	return read_number(arg, as, num_args, error, true);
}

const char *dm_shift_arg(struct dm_arg_set *as)
{
	if (!as->argc)
		return NULL;
	as->argc--;
	return *as->argv++;
}

void dm_consume_args(struct dm_arg_set *as, unsigned int num_args)
{
	BUG_ON(as->argc < num_args);
	as->argc -= num_args;
	as->argv += num_args;
}

/* Creation */

static int construct(struct dm_target *ti, char *args)
{
	char **argv;
	int argc, ret;

	dm_split_args(&argc, &argv, args);
	ret = ti->type->ctr(ti, argc, argv);
	kfree(argv);
	if (!ret && (current->nr_held || in_atomic()))
		shim_bug("a constructor leaves something locked");
	return ret;
}

/* One line: START LENGTH TYPE ARGS... */
static int add_target(struct dm_table *t, char *line, const char **error)
{
	struct dm_target *ti = &t->targets[t->nr_targets];
	unsigned long long begin, len;
	char type[32];
	int used, ret;

	if (t->nr_targets == DM_MAX_TARGETS ||
	    sscanf(line, "%llu %llu %31s%n", &begin, &len, type, &used) != 3) {
		*error = "not a table line";
		return -EINVAL;
	}
	memset(ti, 0, sizeof(*ti));
	ti->type = get_type(type);
	if (!ti->type) {
		*error = "unknown target type";
		return -EINVAL;
	}
	if (!len || begin != t->size) {
		*error = len ? "gap or overlap in table" : "zero-length target";
		return -EINVAL;
	}
	ti->table = t;
	ti->begin = begin;
	ti->len = len;
	ti->error = "unknown error";
	ret = construct(ti, line + used);
	if (ret) {
		*error = ti->error;
		return ret;
	}
	if (ti->num_discard_bios && !ti->discards_supported)
		DMDEBUG("discards depend on the device below");
	t->size += len;
	t->nr_targets++;
	return 0;
}

static int add_targets(struct dm_table *t, char *text, const char **error)
{
	char *line;
	int ret;

	while ((line = strsep(&text, "\n"))) {
		if (!*skip_spaces(line))
			continue;
		ret = add_target(t, line, error);
		if (ret)
			return ret;
	}
	if (t->nr_targets)
		return 0;
	*error = "empty table";
	return -EINVAL;
}

int dm_table_create(struct mapped_device *md, const char *text, blk_mode_t mode,
		    struct dm_table **result, char *error, size_t error_size)
{
	struct dm_table *t = kzalloc(sizeof(*t), GFP_KERNEL | __GFP_NOFAIL);
	char *copy = kstrdup(text, GFP_KERNEL | __GFP_NOFAIL);
	unsigned int per_io = 0;
	const char *why = "";
	int ret;

	t->md = md;
	t->mode = mode;
	INIT_LIST_HEAD(&t->devices);
	ret = add_targets(t, copy, &why);
	if (ret)
		DMERR("%s: %s (%d)", md->number, why, ret);
	if (error)
		strscpy(error, why, error_size);
	kfree(copy);
	for (unsigned int i = 0; i < t->nr_targets; i++)
		per_io = max(per_io, t->targets[i].per_io_data_size);
	if (!ret)
		ret = bioset_init(&t->clones, 16, dm_clone_pad(per_io), 0);
	if (ret)
		dm_table_destroy(t);
	else
		*result = t;
	return ret;
}

void dm_table_destroy(struct dm_table *t)
{
	struct table_dev *td, *next;

	for (unsigned int i = t->nr_targets; i-- > 0; )
		if (t->targets[i].type->dtr)
			t->targets[i].type->dtr(&t->targets[i]);
	mutex_lock(&devs_lock);
	list_for_each_entry_safe(td, next, &t->devices, link) {
		WARN(1, "%s: dm_put_device() is missing for %s\n",
		     t->md->number, td->known->bdev->name);
		close_dev(td);
	}
	mutex_unlock(&devs_lock);
	bioset_exit(&t->clones);
	kfree(t);
}

/* Limits */

static int stack_device(struct dm_target *ti, struct dm_dev *dev,
			sector_t start, sector_t len, void *data)
{
	struct queue_limits *limits = data;

	queue_limits_stack_bdev(limits, dev->bdev, start, "device-mapper");
	return 0;
}

static int area_is_bad(struct dm_target *ti, struct dm_dev *dev,
		       sector_t start, sector_t len, void *data)
{
	struct queue_limits *limits = data;
	sector_t size = bdev_nr_sectors(dev->bdev);
	unsigned int mask = (limits->logical_block_size >> SECTOR_SHIFT) - 1;

	if (start >= size || len > size - start) {
		DMERR("%s too small for target: start=%llu, len=%llu, size=%llu",
		      dev->bdev->name, start, len, size);
		return 1;
	}
	if ((start | len) & mask) {
		DMERR("%s: start=%llu, len=%llu not aligned to %u-byte blocks",
		      dev->bdev->name, start, len, limits->logical_block_size);
		return 1;
	}
	return 0;
}

static int takes_no_discard(struct dm_target *ti, struct dm_dev *dev,
			    sector_t start, sector_t len, void *data)
{
	return !bdev_max_discard_sectors(dev->bdev);
}

static bool supports_discards(struct dm_target *ti)
{
	if (!ti->num_discard_bios)
		return false;
	return ti->discards_supported ||
	       (ti->type->iterate_devices &&
		!ti->type->iterate_devices(ti, takes_no_discard, NULL));
}

static int target_limits(struct dm_target *ti, struct queue_limits *limits)
{
	struct target_type *tt = ti->type;

	blk_set_stacking_limits(limits);
	if (tt->iterate_devices)
		tt->iterate_devices(ti, stack_device, limits);
	if (tt->io_hints)
		tt->io_hints(ti, limits);
	if (tt->iterate_devices && tt->iterate_devices(ti, area_is_bad, limits))
		return -EINVAL;
	if (!(tt->features & DM_TARGET_NOWAIT))
		limits->features &= ~BLK_FEAT_NOWAIT;
	limits->features &= ~BLK_FEAT_POLL;
	if (!supports_discards(ti)) {
		limits->max_hw_discard_sectors = 0;
		limits->discard_granularity = 0;
		limits->discard_alignment = 0;
	}
	if (!ti->num_write_zeroes_bios)
		limits->max_write_zeroes_sectors = 0;
	if (!ti->num_secure_erase_bios)
		limits->max_secure_erase_sectors = 0;
	if (ti->num_flush_bios && ti->flush_supported)
		limits->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	if (!ti->num_flush_bios)
		limits->features &= ~(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
	return 0;
}

int dm_table_limits(struct dm_table *t, struct queue_limits *limits)
{
	struct queue_limits one;
	bool no_discard = false;
	u32 flush = 0;

	blk_set_stacking_limits(limits);
	for (unsigned int i = 0; i < t->nr_targets; i++) {
		struct dm_target *ti = &t->targets[i];

		if (target_limits(ti, &one))
			return -EINVAL;
		no_discard |= !one.max_hw_discard_sectors;
		flush |= one.features & (BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
		if (blk_stack_limits(limits, &one, ti->begin) ||
		    (ti->len << SECTOR_SHIFT) &
		    (limits->logical_block_size - 1)) {
			DMERR("%s: target not aligned to %u-byte blocks",
			      t->md->number, limits->logical_block_size);
			return -EINVAL;
		}
	}
	if (no_discard) {
		limits->max_hw_discard_sectors = 0;
		limits->discard_granularity = 0;
		limits->discard_alignment = 0;
	}
	limits->max_discard_sectors = min(limits->max_hw_discard_sectors,
					  limits->max_user_discard_sectors);
	limits->features |= flush;
	return 0;
}

/* States */

struct dm_target *dm_table_find(struct dm_table *t, sector_t sector)
{
	for (unsigned int i = 0; i < t->nr_targets; i++)
		if (sector - t->targets[i].begin < t->targets[i].len)
			return &t->targets[i];
	return NULL;
}

#define for_each_target(ti, t) \
	for ((ti) = (t)->targets; (ti) < (t)->targets + (t)->nr_targets; (ti)++)

void dm_table_presuspend(struct dm_table *t)
{
	struct dm_target *ti;

	for_each_target(ti, t)
		if (ti->type->presuspend)
			ti->type->presuspend(ti);
}

void dm_table_presuspend_undo(struct dm_table *t)
{
	struct dm_target *ti;

	for_each_target(ti, t)
		if (ti->type->presuspend_undo)
			ti->type->presuspend_undo(ti);
}

void dm_table_postsuspend(struct dm_table *t)
{
	struct dm_target *ti;

	for_each_target(ti, t)
		if (ti->type->postsuspend)
			ti->type->postsuspend(ti);
}

int dm_table_resume(struct dm_table *t)
{
	struct dm_target *ti;
	int ret;

	for_each_target(ti, t) {
		ret = ti->type->preresume ? ti->type->preresume(ti) : 0;
		if (ret) {
			DMERR("%s: %s: preresume failed (%d)", t->md->number,
			      ti->type->name, ret);
			return ret;
		}
	}
	for_each_target(ti, t)
		if (ti->type->resume)
			ti->type->resume(ti);
	return 0;
}

/* What a target may ask */

sector_t dm_table_get_size(struct dm_table *t)
{
	return t->size;
}

blk_mode_t dm_table_get_mode(struct dm_table *t)
{
	return t->mode;
}

struct mapped_device *dm_table_get_md(struct dm_table *t)
{
	return t->md;
}

const char *dm_table_device_name(struct dm_table *t)
{
	return t->md->number;
}

void dm_table_event(struct dm_table *t)
{
	might_sleep();
	if (READ_ONCE(t->live))
		atomic_inc(&t->md->events);
}

int dm_set_target_max_io_len(struct dm_target *ti, sector_t len)
{
	if (len > UINT_MAX) {
		DMERR("Specified maximum size of target IO (%llu) exceeds limit (%u)",
		      len, UINT_MAX);
		ti->error = "Maximum size of target IO is too large";
		return -EINVAL;
	}
	ti->max_io_len = len;
	return 0;
}
