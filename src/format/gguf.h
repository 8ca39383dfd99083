/* SPDX-License-Identifier: MIT
 * GGUF files, versions 2 and 3: read (all splits as one) and write. Parsing checks everything that
 * can be checked without knowing a model; every error names the file and the item. */
#ifndef FORMAT_GGUF_H
#define FORMAT_GGUF_H

#include "base/file.h"
#include "base/text.h"
#include "format/dtype.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

/* One metadata entry. Its bytes lie in memory of the gguf, not in the mapped file, and so stay
 * readable whatever happens to the file later. */
struct gguf_kv {
    struct span key;
    enum gguf_type type;    /* GGUF_ARRAY for arrays */
    enum gguf_type element; /* of an array; otherwise equal to type */
    uint64_t count;         /* of an array; otherwise 1 */
    struct span data;       /* the encoded value: a string without its length; array elements back
                               to back, strings in arrays each with their length */
};

enum { GGUF_DIMS_MAX = 4, GGUF_NAME_MAX = 63, GGUF_SPLITS_MAX = 1000 };
enum { GGUF_ALIGNMENT = 32 };          /* of tensors, unless general.alignment says otherwise */
enum { GGUF_SPLIT_SUFFIX_BYTES = 20 }; /* "-00001-of-00004.gguf" */

struct gguf_tensor {
    char name[GGUF_NAME_MAX + 1];
    enum dtype dtype;
    uint32_t dims;              /* as in the file, 0 to 4 */
    uint64_t ne[GGUF_DIMS_MAX]; /* elements along each dimension, ne[0] contiguous; missing: 1 */
    uint32_t split;             /* index of the file that holds it */
    uint64_t offset;            /* from the start of that file */
    uint64_t bytes;
};

struct gguf_split {
    char *path;
    struct file_map map;
    uint64_t data_start;
};

struct gguf {
    uint32_t version;
    struct gguf_kv *kv; /* of the first file, in file order, overrides applied */
    uint64_t kv_count;
    struct gguf_tensor *tensors; /* of all files, in file order */
    uint64_t tensor_count;
    struct gguf_split *splits; /* at least one */
    uint32_t split_count;
    bool is_header; /* the tensors' data are not there */
    void *internal; /* look-up tables and memory of overrides */
};

/* Opens the file `path` and, if it is the first of several splits, all others beside it. A path to
 * another split than the first is refused, naming the first. */
enum weir_status gguf_open(struct gguf **out, const char *path, struct weir_error *err);
void gguf_close(struct gguf *gguf);

/* Parses one file that is in memory already, as gguf_open would a single file named `name`. `data`
 * must outlive the use of tensors. For tests and fuzzing. */
enum weir_status gguf_parse(struct gguf **out, const uint8_t *data, uint64_t size, const char *name,
                            struct weir_error *err);

/* The same of the bytes before the tensors' data alone: infos are checked as if a file of any size
 * followed. `data` need not outlive the call. */
enum weir_status gguf_parse_header(struct gguf **out, const uint8_t *data, uint64_t size,
                                   const char *name, struct weir_error *err);

/* Applies "KEY=TYPE:VALUE" (TYPE int, float, bool, str): replaces the entry, or adds one, which may
 * move gguf->kv. Keys of the file's layout (general.alignment, split.*) are refused. */
enum weir_status gguf_override(struct gguf *gguf, const char *text, struct weir_error *err);

/* Look-up by name; NULL if absent. */
const struct gguf_kv *gguf_find(const struct gguf *gguf, const char *key);
const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

/* The first byte of a tensor in the mapped file; of a header alone there is none to ask for.
 * Reading it raises SIGBUS if the file has shrunk since it was opened. */
const void *gguf_tensor_data(const struct gguf *gguf, const struct gguf_tensor *tensor);

/* Typed reads. Each returns WEIR_OK and leaves *out as it was if the key is absent; an entry of
 * another type, or a value out of range, is WEIR_ERR_FORMAT naming file, key, found and expected.
 * Any integer type whose value fits serves for an integer; F32 and F64 (in range) for a float. */
enum weir_status gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *out,
                              struct weir_error *err);
enum weir_status gguf_get_f32(const struct gguf *gguf, const char *key, float *out,
                              struct weir_error *err);
enum weir_status gguf_get_bool(const struct gguf *gguf, const char *key, bool *out,
                               struct weir_error *err);
enum weir_status gguf_get_text(const struct gguf *gguf, const char *key, struct span *out,
                               struct weir_error *err);

/* Element `i` of an integer, bool or float array, or (i ignored) of a scalar, as a 64-bit value.
 * The caller knows that i < count. False if it is not of such a type. */
bool gguf_kv_integer(const struct gguf_kv *kv, uint64_t i, int64_t *out);
bool gguf_kv_unsigned(const struct gguf_kv *kv, uint64_t i, uint64_t *out); /* U64 only */
bool gguf_kv_float(const struct gguf_kv *kv, uint64_t i, double *out);

/* Walks an array of strings: begin with *cursor = 0, ends with false. */
bool gguf_kv_next_text(const struct gguf_kv *kv, uint64_t *cursor, struct span *out);

/* The name of a type as in error lines: "u32", "string", "array". */
const char *gguf_type_name(enum gguf_type type);

/* The dimensions of a shape that are left without those of 1 at its end; at least one. */
uint32_t gguf_shape_dims(const uint64_t *ne, uint32_t dims);

/* "[4096, 12288]"; what `out` of `size` bytes has no room for is cut. */
void gguf_format_shape(const uint64_t *ne, uint32_t dims, char *out, size_t size);

/* The file name of the first split, for messages. */
const char *gguf_path(const struct gguf *gguf);

/* How the name of split `no` (from 0) of `count` ends; both are at most GGUF_SPLITS_MAX. */
void gguf_split_suffix(char suffix[GGUF_SPLIT_SUFFIX_BYTES + 1], uint32_t no, uint32_t count);

enum { GGUF_QUANTIZATION_VERSION = 2 }; /* of the block types, as files say it */

/* ---- writing --------------------------------------------------------------------------------- */

/* Metadata in insertion order and tensor infos are collected in memory; gguf_writer_begin writes
 * the header and the padding, then each tensor's bytes are put in order. Version 3, alignment 32.
 * An empty or repeated name, or a tensor that a file cannot hold, is WEIR_ERR_ARGUMENT; the writer
 * can then only be closed. */
struct gguf_writer;

/* Without a path (NULL) the writer only tells the size that the file would have, or hands its bytes
 * to a callback. */
enum weir_status gguf_writer_open(struct gguf_writer **out, const char *path,
                                  struct weir_error *err);
void gguf_writer_send(struct gguf_writer *writer, weir_write_fn *write, void *user);
/* Discards what was not committed; nothing is left behind. */
void gguf_writer_close(struct gguf_writer *writer);

enum weir_status gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value,
                                 struct weir_error *err);
enum weir_status gguf_writer_u16(struct gguf_writer *writer, const char *key, uint16_t value,
                                 struct weir_error *err);
enum weir_status gguf_writer_i32(struct gguf_writer *writer, const char *key, int32_t value,
                                 struct weir_error *err);
enum weir_status gguf_writer_f32(struct gguf_writer *writer, const char *key, float value,
                                 struct weir_error *err);
enum weir_status gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value,
                                  struct weir_error *err);
enum weir_status gguf_writer_text(struct gguf_writer *writer, const char *key, const char *value,
                                  struct weir_error *err);
enum weir_status gguf_writer_i32s(struct gguf_writer *writer, const char *key,
                                  const int32_t *values, uint64_t count, struct weir_error *err);
enum weir_status gguf_writer_texts(struct gguf_writer *writer, const char *key,
                                   const struct span *values, uint64_t count,
                                   struct weir_error *err);
/* An entry of another file, byte for byte. */
enum weir_status gguf_writer_copy(struct gguf_writer *writer, const struct gguf_kv *kv,
                                  struct weir_error *err);

/* Declares the next tensor; its offset follows from those before. */
enum weir_status gguf_writer_tensor(struct gguf_writer *writer, const char *name, enum dtype dtype,
                                    const uint64_t *ne, uint32_t dims, struct weir_error *err);
/* The size that the file will have. Valid when all tensors are declared. */
uint64_t gguf_writer_size(const struct gguf_writer *writer);

enum weir_status gguf_writer_begin(struct gguf_writer *writer, struct weir_error *err);
/* The next bytes of the data section, tensor after tensor; the writer pads each to 32. */
enum weir_status gguf_writer_put(struct gguf_writer *writer, const void *data, uint64_t bytes,
                                 struct weir_error *err);
/* Finish: checks that every declared byte was put, flushes and closes; publish: renames. Commit is
 * both; see struct file_writer for when to do them apart. */
enum weir_status gguf_writer_finish(struct gguf_writer *writer, struct weir_error *err);
enum weir_status gguf_writer_publish(struct gguf_writer *writer, struct weir_error *err);
enum weir_status gguf_writer_commit(struct gguf_writer *writer, struct weir_error *err);

#endif
