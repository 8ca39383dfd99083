/* SPDX-License-Identifier: MIT
 * A program outside the project, built against the installed header and library. */
#include <stdio.h>
#include <string.h>
#include <weir.h>

int main(void)
{
    printf("weir %s (%s)\n", weir_version(), weir_build_info());
    return strcmp(weir_version(), WEIR_VERSION) != 0;
}
