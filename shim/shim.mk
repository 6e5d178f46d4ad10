# SPDX-License-Identifier: GPL-2.0-or-later
# The userspace stand-in for the kernel's API.  Include this, compile SHIM_SRCS
# and the back end (SHIM_THREADS_SRCS) with SHIM_CFLAGS and link them, together
# with SHIM_LDLIBS, to what was compiled with SHIM_INCLUDES.
SHIM_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

SHIM_SRCS := $(addprefix $(SHIM_DIR)/,kapi.c lock.c task.c timer.c workqueue.c \
	slab.c lib.c rbtree.c crc32c.c bio.c blkdev.c dm.c dm-table.c)
SHIM_THREADS_SRCS := $(SHIM_DIR)/port-threads.c

# For everything that includes <linux/*.h>: the engine as well as its tests.
SHIM_INCLUDES := -I$(SHIM_DIR)/include
SHIM_WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
SHIM_CFLAGS := -std=gnu11 -D_GNU_SOURCE -fno-strict-aliasing -pthread \
	$(SHIM_WARNINGS) $(SHIM_INCLUDES) -I$(SHIM_DIR)
SHIM_LDLIBS := -pthread
