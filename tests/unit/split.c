/* SPDX-License-Identifier: MIT
 * Tests of splitting and merging. Run alone: build/tests/weir-test split_ */
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "base/file.h"
#include "cli/program.h"
#include "format/gguf.h"

enum { PATH_BYTES = 4300, PLAN_BYTES = 8192 };

struct path {
    char text[PATH_BYTES];
};

/* A name of these tests alone in the scratch folder. */
static struct path scratch(const char *name)
{
    struct path path;
    char own[64];
    snprintf(own, sizeof own, "split-unit-%s", name);
    snprintf(path.text, sizeof path.text, "%s", test_scratch(own));
    return path;
}

static struct path split_path(const struct path *prefix, int no, int count)
{
    struct path path;
    snprintf(path.text, sizeof path.text, "%.4200s-%05d-of-%05d.gguf", prefix->text, no, count);
    return path;
}

/* The whole model that the tests cut up: 55 tensors, laid out as the writer does. */
static struct path model(void)
{
    const struct path path = scratch("whole.gguf");
    struct weir_error err = {0};
    struct weir_synth_options options;
    weir_synth_options_init(&options);
    options.size = "nano";
    if (!file_exists(path.text))
        CHECK_OK(weir_synth(path.text, &options, &err), &err);
    return path;
}

static struct gguf *open_model(const char *path)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

static void append(void *user, const char *text, size_t length)
{
    char *out = user;
    const size_t used = strlen(out);
    CHECK(used + length < PLAN_BYTES);
    memcpy(out + used, text, length);
    out[used + length] = 0;
}

static int files_of(const struct weir_split_options *options, const char *path)
{
    static char plan[PLAN_BYTES];
    struct weir_error err = {0};
    int lines = 0;
    plan[0] = 0;
    CHECK_OK(weir_split_print(path, "x", options, append, plan, &err), &err);
    for (const char *c = plan; *c != 0; c++)
        lines += *c == '\n';
    return lines - 1;
}

static void split_into(const char *path, const struct path *prefix,
                       const struct weir_split_options *options, int count)
{
    struct weir_error err = {0};
    CHECK_OK(weir_split(path, prefix->text, options, &err), &err);
    CHECK_INT(program_count_files(prefix->text), count);
}

static void remove_splits(const struct path *prefix, int count)
{
    for (int no = 1; no <= count; no++)
        CHECK_INT(remove(split_path(prefix, no, count).text), 0);
}

static void check_equal_files(const char *a, const char *b)
{
    size_t sizes[2];
    uint8_t *data[2] = {test_read_file(a, &sizes[0]), test_read_file(b, &sizes[1])};
    CHECK_INT(sizes[0], sizes[1]);
    CHECK(memcmp(data[0], data[1], sizes[0]) == 0);
    free(data[0]);
    free(data[1]);
}

/* ---- equalities ------------------------------------------------------------------------------ */

static const struct weir_split_options limits[] = {
    {.tensors_max = 1},
    {.tensors_max = 7},
    {.tensors_max = 128},
    {.tensors_max = 9, .bare_first = true},
    {.bytes_max = 40000},
    {.bytes_max = 200000, .bare_first = true},
    {.tensors_max = 5, .bytes_max = 60000},
    {.tensors_max = 0},
};

enum { LIMITS = sizeof limits / sizeof *limits };

TEST(split_merges_back)
{
    const struct path whole = model(), prefix = scratch("back"), merged = scratch("back.gguf");
    struct weir_error err = {0};
    for (int i = 0; i < LIMITS; i++) {
        const int count = files_of(&limits[i], whole.text);
        split_into(whole.text, &prefix, &limits[i], count);
        CHECK_OK(weir_merge(split_path(&prefix, 1, count).text, merged.text, NULL, &err), &err);
        check_equal_files(merged.text, whole.text);
        CHECK_INT(remove(merged.text), 0);
        remove_splits(&prefix, count);
    }
}

/* What is split already is split as the whole would be. */
TEST(split_of_a_split_is_split_of_the_whole)
{
    const struct path whole = model(), first = scratch("first"), again = scratch("again"),
                      direct = scratch("direct");
    const int first_count = files_of(&limits[1], whole.text);
    split_into(whole.text, &first, &limits[1], first_count);
    for (int i = 0; i < LIMITS; i++) {
        const int count = files_of(&limits[i], whole.text);
        split_into(split_path(&first, 1, first_count).text, &again, &limits[i], count);
        split_into(whole.text, &direct, &limits[i], count);
        for (int no = 1; no <= count; no++)
            check_equal_files(split_path(&again, no, count).text,
                              split_path(&direct, no, count).text);
        remove_splits(&again, count);
        remove_splits(&direct, count);
    }
    remove_splits(&first, first_count);
}

/* ---- the files ------------------------------------------------------------------------------- */

static int64_t key_integer(const struct gguf *gguf, const char *key, enum gguf_type type)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    int64_t value = -1;
    CHECK(kv != NULL && kv->type == type);
    CHECK(gguf_kv_integer(kv, 0, &value));
    return value;
}

/* A later split cannot be opened as a model: its header is looked at as bytes. */
static bool file_has(const char *path, const char *text)
{
    size_t size;
    uint8_t *data = test_read_file(path, &size);
    const bool has = memmem(data, size, text, strlen(text)) != NULL;
    free(data);
    return has;
}

static void check_limits(const struct gguf *gguf, const struct weir_split_options *options)
{
    uint64_t tensors[GGUF_SPLITS_MAX] = {0}, bytes[GGUF_SPLITS_MAX] = {0};
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        tensors[tensor->split]++;
        bytes[tensor->split] += (tensor->bytes + 31) / 32 * 32;
        CHECK(i == 0 || tensor->split >= tensor[-1].split);
    }
    for (uint32_t i = 0; i < gguf->split_count; i++) {
        CHECK(options->tensors_max == 0 || tensors[i] <= options->tensors_max);
        CHECK(options->bytes_max == 0 || bytes[i] <= options->bytes_max);
        CHECK((tensors[i] == 0) == (i == 0 && options->bare_first));
    }
}

TEST(split_files_hold_what_they_should)
{
    const struct path whole = model(), prefix = scratch("parts");
    struct gguf *one = open_model(whole.text);
    for (int i = 0; i < LIMITS; i++) {
        const int count = files_of(&limits[i], whole.text);
        split_into(whole.text, &prefix, &limits[i], count);
        struct gguf *many = open_model(split_path(&prefix, 1, count).text);
        CHECK_INT(many->split_count, count);
        CHECK_INT(many->tensor_count, one->tensor_count);
        CHECK_INT(many->kv_count, one->kv_count + 3);
        CHECK_INT(key_integer(many, "split.no", GGUF_U16), 0);
        CHECK_INT(key_integer(many, "split.count", GGUF_U16), count);
        CHECK_INT(key_integer(many, "split.tensors.count", GGUF_I32), one->tensor_count);
        check_limits(many, &limits[i]);
        gguf_close(many);
        for (int no = 2; no <= count; no++) {
            const struct path later = split_path(&prefix, no, count);
            CHECK(file_has(later.text, "split.tensors.count"));
            CHECK(!file_has(later.text, "general."));
        }
        remove_splits(&prefix, count);
    }
    gguf_close(one);
}

TEST(split_default_is_128_tensors)
{
    const struct path whole = scratch("many.gguf"), prefix = scratch("many");
    struct weir_error err = {0};
    struct gguf_writer *writer;
    CHECK_OK(gguf_writer_open(&writer, whole.text, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "general.name", "many", &err), &err);
    for (int i = 0; i < 1001; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        CHECK_OK(gguf_writer_tensor(writer, name, DTYPE_F32, (uint64_t[]){8}, 1, &err), &err);
    }
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    static uint8_t data[1001 * 32];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i / 32);
    CHECK_OK(gguf_writer_put(writer, data, sizeof data, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    CHECK_OK(weir_split(whole.text, scratch("default").text, NULL, &err), &err);
    const struct path first = scratch("default-00001-of-00008.gguf");
    struct gguf *gguf = open_model(first.text);
    CHECK_INT(gguf->tensors[127].split, 0);
    CHECK_INT(gguf->tensors[128].split, 1);
    CHECK_INT(gguf->tensors[1000].split, 7);
    gguf_close(gguf);

    /* As many files as there may be, which is more than may be open at once, and one more. */
    struct weir_split_options options = {.bytes_max = 32};
    CHECK_INT(weir_split(whole.text, prefix.text, &options, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "would be split into 1001 files, at most 1000 are possible") != NULL);
    options = (struct weir_split_options){.bytes_max = 64, .bare_first = true};
    err = (struct weir_error){0};
    CHECK_OK(weir_split(whole.text, prefix.text, &options, &err), &err);
    CHECK_INT(program_count_files(prefix.text), 502 + 1); /* and the whole */
}

/* The alignment that the file names is that of its tensors, which the writer decides. */
TEST(split_writes_its_own_alignment)
{
    for (uint32_t alignment = 32; alignment <= 64; alignment *= 2) {
        const struct path whole = scratch("aligned.gguf"), prefix = scratch("aligned"),
                          merged = scratch("aligned-merged.gguf");
        struct weir_error err = {0};
        struct gguf_writer *writer;
        CHECK_OK(gguf_writer_open(&writer, whole.text, &err), &err);
        CHECK_OK(gguf_writer_u32(writer, "general.alignment", alignment, &err), &err);
        CHECK_OK(gguf_writer_begin(writer, &err), &err);
        CHECK_OK(gguf_writer_commit(writer, &err), &err);
        gguf_writer_close(writer);
        CHECK_OK(weir_split(whole.text, prefix.text, NULL, &err), &err);
        const struct path only = split_path(&prefix, 1, 1);
        CHECK_OK(weir_merge(only.text, merged.text, NULL, &err), &err);
        CHECK_INT(file_has(only.text, "general.alignment"), alignment == 32);
        CHECK_INT(file_has(merged.text, "general.alignment"), alignment == 32);
        CHECK(!file_has(merged.text, "split."));
        CHECK_INT(remove(only.text), 0);
        CHECK_INT(remove(merged.text), 0);
    }
}

TEST(split_plan_is_what_is_written)
{
    const struct path whole = model(), prefix = scratch("plan");
    const struct weir_split_options options = {.tensors_max = 30, .bare_first = true};
    struct weir_error err = {0};
    char plan[PLAN_BYTES] = "";
    CHECK_OK(weir_split_print(whole.text, prefix.text, &options, append, plan, &err), &err);
    CHECK_INT(program_count_files(prefix.text), 0);
    const int count = files_of(&options, whole.text);
    split_into(whole.text, &prefix, &options, count);
    const char *line = plan;
    unsigned long long total = 0, tensors_total = 0, tensors, bytes;
    for (int no = 1; no <= count; no++) {
        const struct path path = split_path(&prefix, no, count);
        const size_t length = strlen(path.text);
        CHECK(strncmp(line, path.text, length) == 0);
        CHECK_INT(sscanf(line + length, "%llu tensors %llu bytes\n", &tensors, &bytes), 2);
        struct stat info;
        CHECK_INT(stat(path.text, &info), 0);
        CHECK_INT(bytes, info.st_size);
        total += bytes;
        tensors_total += tensors;
        line = strchr(line, '\n') + 1;
    }
    char sums[128];
    snprintf(sums, sizeof sums, "%d files, %llu tensors, %llu bytes\n", count, tensors_total,
             total);
    CHECK_TEXT(line, sums);
    remove_splits(&prefix, count);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void check_split_refused(const char *path, const char *prefix,
                                const struct weir_split_options *options, enum weir_status status,
                                const char *text)
{
    struct weir_error err = {0};
    const int before = prefix[0] == 0 ? 0 : program_count_files(prefix);
    CHECK_INT(weir_split(path, prefix, options, &err), status);
    if (strstr(err.text, text) == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", text, err.text);
    CHECK_INT(prefix[0] == 0 ? 0 : program_count_files(prefix), before);
}

TEST(split_refuses)
{
    const struct path whole = model(), prefix = scratch("refused");
    check_split_refused(whole.text, "", NULL, WEIR_ERR_ARGUMENT, "an empty prefix");
    check_split_refused("/nowhere/m.gguf", prefix.text, NULL, WEIR_ERR_IO, "cannot open");
    check_split_refused(whole.text, "/nowhere/m", NULL, WEIR_ERR_IO, "cannot create");
    const struct weir_split_options small = {.bytes_max = 20000};
    check_split_refused(whole.text, prefix.text, &small, WEIR_ERR_ARGUMENT,
                        "but a file may hold no more than 20000");
    split_into(whole.text, &prefix, &limits[1], files_of(&limits[1], whole.text));
    const int count = program_count_files(prefix.text);
    check_split_refused(split_path(&prefix, 2, count).text, scratch("later").text, NULL,
                        WEIR_ERR_ARGUMENT, split_path(&prefix, 1, count).text);
    /* One of the names is taken, be it by the source itself or by a link to nothing. */
    const struct path first = split_path(&prefix, 1, count), last = split_path(&prefix, 5, count);
    check_split_refused(first.text, prefix.text, &limits[1], WEIR_ERR_ARGUMENT,
                        "-00001-of-00008.gguf: exists already, and is not replaced");
    const struct path other = scratch("other"), taken = split_path(&other, 5, count);
    CHECK_INT(symlink("/nowhere/at/all", taken.text), 0);
    check_split_refused(whole.text, other.text, &limits[1], WEIR_ERR_ARGUMENT, taken.text);
    CHECK(file_exists(last.text));
}

TEST(split_merge_refuses)
{
    const struct path whole = model(), prefix = scratch("unmerged");
    struct weir_error err = {0};
    CHECK_INT(weir_merge(whole.text, scratch("no.gguf").text, NULL, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "whole.gguf: is not split, there is nothing to merge") != NULL);
    const int count = files_of(&limits[1], whole.text);
    split_into(whole.text, &prefix, &limits[1], count);
    const struct path first = split_path(&prefix, 1, count);
    err = (struct weir_error){0};
    CHECK_INT(weir_merge(first.text, first.text, NULL, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "exists already, and is not replaced") != NULL);
    err = (struct weir_error){0};
    CHECK_INT(weir_merge(split_path(&prefix, 3, count).text, "x", NULL, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "is split 3 of 8: open the first instead") != NULL);
    err = (struct weir_error){0};
    CHECK_INT(remove(split_path(&prefix, 3, count).text), 0);
    CHECK_INT(weir_merge(first.text, "x", NULL, &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "-00003-of-00008.gguf: cannot open") != NULL);
}

/* ---- failures on the way --------------------------------------------------------------------- */

struct watch {
    uint64_t calls, calls_max;
    uint64_t done, total;
    const char *folder; /* made when all is written, where a file is to appear; or NULL */
};

static bool watch_progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct watch *watch = user;
    CHECK(stage == WEIR_STAGE_WRITE && done >= watch->done && done <= total);
    watch->done = done;
    watch->total = total;
    if (done == total && watch->folder != NULL)
        CHECK_INT(mkdir(watch->folder, 0700), 0);
    return ++watch->calls < watch->calls_max;
}

/* Cancelled at each possible moment. */
TEST(split_cancelled_leaves_nothing)
{
    const struct path whole = model(), prefix = scratch("cancelled");
    const int count = files_of(&limits[1], whole.text);
    enum weir_status status = WEIR_ERR_CANCELLED;
    uint64_t moments = 0;
    while (status != WEIR_OK) {
        struct watch watch = {.calls_max = ++moments};
        struct weir_split_options options = limits[1];
        options.progress = watch_progress;
        options.progress_user = &watch;
        status = weir_split(whole.text, prefix.text, &options, NULL);
        CHECK_INT(program_count_files(prefix.text), status == WEIR_OK ? count : 0);
        CHECK(status == WEIR_OK ? watch.done == watch.total : status == WEIR_ERR_CANCELLED);
    }
    CHECK(moments > 50);
}

TEST(split_merge_cancelled_leaves_nothing)
{
    const struct path whole = model(), prefix = scratch("half"), merged = scratch("merged");
    const int count = files_of(&limits[1], whole.text);
    split_into(whole.text, &prefix, &limits[1], count);
    struct watch watch = {.calls_max = 9};
    const struct weir_merge_options options = {watch_progress, &watch};
    struct weir_error err = {0};
    const struct path first = split_path(&prefix, 1, count);
    CHECK_INT(weir_merge(first.text, merged.text, &options, &err), WEIR_ERR_CANCELLED);
    CHECK_INT(program_count_files(merged.text), 0);
}

/* One of the last steps, the renames, meets what was not there before. */
TEST(split_failed_rename_takes_all_back)
{
    const struct path whole = model(), prefix = scratch("raced");
    const int count = files_of(&limits[1], whole.text);
    const struct path folder = split_path(&prefix, 4, count);
    struct watch watch = {.calls_max = UINT64_MAX, .folder = folder.text};
    struct weir_split_options options = limits[1];
    options.progress = watch_progress;
    options.progress_user = &watch;
    struct weir_error err = {0};
    CHECK_INT(weir_split(whole.text, prefix.text, &options, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "-00004-of-00008.gguf: exists already") != NULL);
    CHECK_INT(program_count_files(prefix.text), 1);
    CHECK_INT(rmdir(folder.text), 0);
}

/* A disk that fills up while the files are written, by way of the limit on the size of files. */
TEST(split_failed_write_leaves_nothing)
{
    const struct path whole = model(), prefix = scratch("limited");
    struct rlimit before;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct weir_error err = {0};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, before.rlim_max}), 0);
    const enum weir_status status = weir_split(whole.text, prefix.text, &limits[1], &err);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    CHECK_INT(status, WEIR_ERR_IO);
    CHECK(strstr(err.text, "cannot write") != NULL);
    CHECK_INT(program_count_files(prefix.text), 0);
}

/* ---- failing allocations --------------------------------------------------------------------- */

static void split_and_merge(void *argument)
{
    const struct path *whole = argument, prefix = scratch("alloc-split"),
                      merged = scratch("alloc-merged.gguf");
    const struct weir_split_options options = {.tensors_max = 30};
    struct weir_error err = {0};
    enum weir_status status = weir_split(whole->text, prefix.text, &options, &err);
    const int count = program_count_files(prefix.text);
    CHECK_INT(count, status == WEIR_OK ? 3 : 0);
    if (status == WEIR_OK) {
        status = weir_merge(split_path(&prefix, 1, count).text, merged.text, NULL, &err);
        CHECK_INT(program_count_files(merged.text), status == WEIR_OK);
    }
    CHECK_INT(status != WEIR_OK, alloc_failed());
    CHECK_INT(err.status, status);
    remove_splits(&prefix, count);
    remove(merged.text);
}

TEST(split_gives_back_what_it_takes)
{
    struct path whole = scratch("few.gguf");
    struct weir_error err = {0};
    struct gguf_writer *writer;
    CHECK_OK(gguf_writer_open(&writer, whole.text, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "general.name", "few", &err), &err);
    for (int i = 0; i < 70; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        CHECK_OK(gguf_writer_tensor(writer, name, DTYPE_F32, (uint64_t[]){8}, 1, &err), &err);
    }
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    static const uint8_t data[70 * 32];
    CHECK_OK(gguf_writer_put(writer, data, sizeof data, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    alloc_test(split_and_merge, &whole);
}
