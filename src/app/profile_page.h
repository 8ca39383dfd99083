/* SPDX-License-Identifier: MIT
 * The text of the page of weir profile, which the build makes with tools/page.awk. */
#ifndef APP_PROFILE_PAGE_H
#define APP_PROFILE_PAGE_H

/* Lines before and behind the records; NULL behind the last. */
extern const char *const profile_page_head[], *const profile_page_tail[];

#endif
