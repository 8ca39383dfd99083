/* SPDX-License-Identifier: MIT
 * A program outside the project, built against the installed header and library: prints the bytes
 * that a token behind 1000 others moves, a line for each class: "weights READ WRITTEN". */
#include <stdio.h>
#include <string.h>
#include <weir.h>

static void print_classes(const struct weir_profile *profile)
{
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        uint64_t read = 0, written = 0;
        for (uint32_t i = 0; i < info.ops; i++) {
            struct weir_profile_op op;
            weir_profile_op(profile, i, &op);
            read += op.traffic.read[class];
            written += op.traffic.written[class];
        }
        printf("%s %llu %llu\n", weir_traffic_class_name((enum weir_traffic_class) class),
               (unsigned long long)read, (unsigned long long)written);
    }
}

/* Nothing is loaded: the bytes follow from the file's header. */
static int print_bytes(const char *path)
{
    const struct weir_profile_shape shape = {.cached = 1000, .rows = 1, .logits = WEIR_LOGITS_LAST};
    struct weir_model *model;
    struct weir_profile *profile = NULL;
    struct weir_error err = {0};
    enum weir_status status = weir_model_open(&model, path, NULL, &err);
    if (status == WEIR_OK)
        status = weir_profile_open(&profile, model, NULL, &shape, &err);
    if (status == WEIR_OK)
        print_classes(profile);
    else
        fprintf(stderr, "%s\n", err.text);
    weir_profile_close(profile);
    weir_model_close(model);
    return status != WEIR_OK;
}

int main(int argc, char **argv)
{
    printf("weir %s (%s)\n", weir_version(), weir_build_info());
    if (argc == 2 && print_bytes(argv[1]) != 0)
        return 1;
    return strcmp(weir_version(), WEIR_VERSION) != 0;
}
