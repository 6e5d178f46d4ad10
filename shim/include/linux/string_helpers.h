/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/string.h>
#include <linux/string_choices.h>
