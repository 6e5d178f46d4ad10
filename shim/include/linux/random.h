/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_RANDOM_H
#define SHIM_LINUX_RANDOM_H

#include <linux/types.h>

void get_random_bytes(void *buf, size_t len);
u8 get_random_u8(void);
u16 get_random_u16(void);
u32 get_random_u32(void);
u64 get_random_u64(void);
/* Even; 0 for 0. */
u32 get_random_u32_below(u32 ceil);
u32 get_random_u32_inclusive(u32 floor, u32 ceil);

#endif
