/* SPDX-License-Identifier: MIT
 * The version and the build, as meson knows them (src/run/meson.build). Knows nothing else; it is
 * compiled apart so that a new commit recompiles only this file. */
#include "weir.h"

const char *weir_version(void)
{
    return WEIR_PROJECT_VERSION;
}

const char *weir_build_info(void)
{
    return WEIR_PROJECT_BUILD;
}
