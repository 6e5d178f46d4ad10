/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_STRING_CHOICES_H
#define SHIM_LINUX_STRING_CHOICES_H

#define str_true_false(v) ((v) ? "true" : "false")
#define str_yes_no(v) ((v) ? "yes" : "no")
#define str_on_off(v) ((v) ? "on" : "off")
#define str_enabled_disabled(v) ((v) ? "enabled" : "disabled")
#define str_plural(n) ((n) == 1 ? "" : "s")

#endif
