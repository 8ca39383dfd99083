/* SPDX-License-Identifier: MIT
 * Checkpoints that cannot be converted: each is refused with a line that names file and tensor or
 * key, and no file is left. Run alone: build/tests/weir-test refused_checkpoint_ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"

static const char index_name[] = "model.safetensors.index.json";
static const char wrapped[] = "model.language_model.";

static const char *make_checkpoint(const char *size, bool mtp)
{
    const char *folder = folder_fresh("bad-checkpoint");
    struct weir_synth_options options;
    weir_synth_options_init(&options);
    options.size = size;
    options.type = "bf16";
    options.mtp = mtp;
    struct weir_error err = {0};
    CHECK_OK(weir_synth_checkpoint(folder, &options, &err), &err);
    return folder;
}

static void check_refused_as(const char *folder, const struct weir_convert_options *options,
                             enum weir_status expected, const char *text)
{
    const int files = folder_files(folder);
    struct weir_error err = {0};
    const enum weir_status status =
        weir_convert(folder, folder_file(folder, "out.gguf"), options, &err);
    if (status != expected || strstr(err.text, text) == NULL)
        test_fail(__FILE__, __LINE__, "status %d and \"%s\", expected %d and \"%s\"", (int)status,
                  err.text, (int)expected, text);
    CHECK_INT(folder_files(folder), files);
}

static void check_refused(const char *folder, enum weir_status expected, const char *text)
{
    check_refused_as(folder, NULL, expected, text);
}

/* The end of the shards' names. */
static void shard_name(const char *folder, char out[64])
{
    json_t *index = folder_read_json(folder, index_name);
    json_t *map = json_object_get(index, "weight_map");
    snprintf(out, 64, "%s", json_string_value(json_object_iter_value(json_object_iter(map))));
    json_decref(index);
}

/* ---- files ----------------------------------------------------------------------------------- */

TEST(refused_checkpoint_without_files)
{
    const char *folder = make_checkpoint("nano", false);
    char name[64];
    shard_name(folder, name);
    folder_write(folder, "tokenizer.json", "{}", 2);
    check_refused(folder, WEIR_ERR_UNSUPPORTED, "/bad-checkpoint/tokenizer.json: \"model\" is of");
    unlink(folder_file(folder, "tokenizer.json"));
    check_refused(folder, WEIR_ERR_IO, "/bad-checkpoint/tokenizer.json: cannot open: ");
    unlink(folder_file(folder, name));
    check_refused(folder, WEIR_ERR_IO, "/bad-checkpoint/model-00001-of-0000");
    unlink(folder_file(folder, index_name));
    check_refused(folder, WEIR_ERR_IO,
                  "/bad-checkpoint: holds neither model.safetensors nor model.safe");
    unlink(folder_file(folder, "config.json"));
    check_refused(folder, WEIR_ERR_IO, "/bad-checkpoint/config.json: cannot open: ");
    struct weir_error err = {0};
    CHECK_INT(weir_convert("", "out.gguf", NULL, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "the name of the checkpoint folder is empty");
}

TEST(refused_checkpoint_of_cut_files)
{
    const char *folder = make_checkpoint("nano", false);
    char name[64];
    shard_name(folder, name);
    size_t size;
    uint8_t *shard = test_read_file(folder_file(folder, name), &size);
    folder_write(folder, name, shard, size - 1);
    check_refused(folder, WEIR_ERR_FORMAT, "the file has ");
    folder_write(folder, name, shard, 100);
    check_refused(folder, WEIR_ERR_FORMAT, "the header has ");
    folder_write(folder, name, shard, 7);
    check_refused(folder, WEIR_ERR_FORMAT, "7 bytes are no safetensors file");
    folder_write(folder, name, "\4\0\0\0\0\0\0\0{}]]", 12);
    check_refused(folder, WEIR_ERR_FORMAT, "not JSON");
    free(shard);
}

TEST(refused_checkpoint_of_bad_index)
{
    const char *folder = make_checkpoint("nano", false);
    json_t *index = folder_read_json(folder, index_name);
    json_t *map = json_object_get(index, "weight_map");
    json_object_set_new(map, "more", json_string("../x.safetensors"));
    CHECK_INT(json_dump_file(index, folder_file(folder, index_name), 0), 0);
    check_refused(folder, WEIR_ERR_FORMAT,
                  "/bad-checkpoint/model.safetensors.index.json: tensor more: expected the name");
    json_object_set_new(map, "more", json_integer(1));
    CHECK_INT(json_dump_file(index, folder_file(folder, index_name), 0), 0);
    check_refused(folder, WEIR_ERR_FORMAT,
                  "/bad-checkpoint/model.safetensors.index.json: tensor more: expected the name");
    char name[64];
    json_object_del(map, "more");
    shard_name(folder, name);
    json_object_set_new(map, "more", json_string(name));
    CHECK_INT(json_dump_file(index, folder_file(folder, index_name), 0), 0);
    check_refused(
        folder, WEIR_ERR_FORMAT,
        "/bad-checkpoint/model.safetensors.index.json: tensor more is not in model-00001-");
    json_object_del(index, "weight_map");
    folder_write_json(folder, index_name, index);
    check_refused(folder, WEIR_ERR_FORMAT, "\"weight_map\" is missing");
}

TEST(refused_type_that_there_is_none_of)
{
    const char *folder = make_checkpoint("nano", false);
    struct weir_convert_options options;
    weir_convert_options_init(&options);
    options.type = (enum weir_convert_type)77;
    check_refused_as(folder, &options, WEIR_ERR_ARGUMENT,
                     "the type of the matrices is 77, expected 0 to 3");
}

/* The file to write is one of those that are read. */
TEST(refused_checkpoint_that_would_be_replaced)
{
    const char *folder = make_checkpoint("nano", false);
    char name[64];
    shard_name(folder, name);
    const char *const names[] = {name, "tokenizer.json", index_name};
    for (size_t i = 0; i < 3; i++) {
        struct weir_error err = {0};
        size_t before, after;
        free(test_read_file(folder_file(folder, names[i]), &before));
        CHECK_INT(weir_convert(folder, folder_file(folder, names[i]), NULL, &err),
                  WEIR_ERR_ARGUMENT);
        CHECK(strstr(err.text, "cannot be read and written at once") != NULL);
        free(test_read_file(folder_file(folder, names[i]), &after));
        CHECK_INT(after, before);
    }
    struct weir_error err = {0};
    CHECK_INT(weir_convert(folder, folder, NULL, &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "cannot create") != NULL);
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* In place of the first norm of a layer, another tensor. */
static const char *with_norm(const char *entry, size_t bytes)
{
    static const uint8_t zeros[4096];
    char name[100], header[400];
    const char *folder = make_checkpoint("nano", false);
    snprintf(name, sizeof name, "%slayers.2.input_layernorm.weight", wrapped);
    folder_hide_tensor(folder, name);
    snprintf(header, sizeof header, "\"%s\": {%s, \"data_offsets\": [0, %zu]}", name, entry, bytes);
    if (bytes > 0)
        folder_add_shard(folder, header, zeros, bytes);
    return folder;
}

TEST(refused_checkpoint_of_other_tensors)
{
    check_refused(with_norm("", 0), WEIR_ERR_FORMAT,
                  "/bad-checkpoint: the checkpoint has no tensor layers.2.input_layernorm.weight");
    check_refused(with_norm("\"dtype\": \"BF16\", \"shape\": [1, 65]", 130), WEIR_ERR_FORMAT,
                  "more.safetensors: tensor model.language_model.layers.2.input_layernorm.weight "
                  "has shape [1, 65], expected [64]");
    check_refused(with_norm("\"dtype\": \"BF16\", \"shape\": [8, 8]", 128), WEIR_ERR_FORMAT,
                  "has shape [8, 8], expected [64]");
    check_refused(with_norm("\"dtype\": \"F8_E4M3\", \"shape\": [64]", 64), WEIR_ERR_UNSUPPORTED,
                  "has type F8_E4M3, expected F32, F16 or BF16");
    check_refused(with_norm("\"dtype\": \"F64\", \"shape\": [64]", 512), WEIR_ERR_UNSUPPORTED,
                  "has type F64, expected F32, F16 or BF16");
}

TEST(refused_checkpoint_of_unknown_tensors)
{
    static const struct {
        const char *name, *text;
    } unknown[] = {
        {"model.language_model.layers.0.linear_attn.in_proj_qkv.bias", " is none that a model of "
                                                                       "architecture qwen35 has"},
        {"model.language_model.layers.4.input_layernorm.weight", " is none that a model of"},
        {"model.lm_head.weight_scale", " is none that a model of"},
        {"mtp.norm.weight",
         "/bad-checkpoint: the checkpoint has no tensor mtp.layers.0.input_layernorm.weight"},
        {"model.layers.0.input_layernorm.weight", ": there is another one, in "},
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char header[200];
        const char *folder = make_checkpoint("nano", false);
        snprintf(header, sizeof header,
                 "\"%s\": {\"dtype\": \"BF16\", \"shape\": [64], \"data_offsets\": [0, 128]}",
                 unknown[i].name);
        static const uint8_t zeros[128];
        folder_add_shard(folder, header, zeros, sizeof zeros);
        check_refused(folder, i < 3 ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_FORMAT, unknown[i].text);
    }
}

TEST(refused_checkpoint_without_an_expert)
{
    const char *folder = make_checkpoint("tinynext", false);
    folder_hide_tensor(folder, "model.layers.3.mlp.experts.5.up_proj.weight");
    check_refused(
        folder, WEIR_ERR_FORMAT,
        "/bad-checkpoint: the checkpoint has no tensor layers.3.mlp.experts.5.up_proj.weight");
}

/* F16 ends at 65504; BF16 does not. */
TEST(refused_checkpoint_of_numbers_too_large)
{
    static const char head[] = "mtp.fc.weight";
    static uint16_t numbers[64 * 128];
    numbers[5000] = 0x4780; /* 65536 */
    const char *folder = make_checkpoint("nano", true);
    folder_hide_tensor(folder, head);
    folder_add_shard(folder,
                     "\"mtp.fc.weight\": {\"dtype\": \"BF16\", \"shape\": [64, 128], "
                     "\"data_offsets\": [0, 16384]}",
                     numbers, sizeof numbers);
    struct weir_convert_options options;
    weir_convert_options_init(&options);
    options.type = WEIR_CONVERT_F16;
    check_refused_as(folder, &options, WEIR_ERR_UNSUPPORTED,
                     "tensor mtp.fc.weight has numbers that F16 cannot hold");
    options.type = WEIR_CONVERT_BF16;
    struct weir_error err = {0};
    CHECK_OK(weir_convert(folder, test_scratch("large.gguf"), &options, &err), &err);
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* Replaces (or, with a NULL text, removes) a key of the text model. */
static void config_set(const char *folder, const char *key, const char *json)
{
    json_t *config = folder_read_json(folder, "config.json");
    json_t *text = json_object_get(config, "text_config");
    if (json == NULL)
        json_object_del(text, key);
    else
        json_object_set_new(text, key, json_loads(json, JSON_DECODE_ANY, NULL));
    folder_write_json(folder, "config.json", config);
}

TEST(refused_checkpoint_of_other_configs)
{
    static const struct {
        const char *key, *json;
        enum weir_status status;
        const char *text;
    } bad[] = {
        {"model_type", "\"llama\"", WEIR_ERR_UNSUPPORTED,
         "/bad-checkpoint/config.json: \"model_type\" is \"llama\", expected qwen3_5, qwen3_5_moe "
         "or qwen3_next"},
        {"quantization_config", "{\"quant_method\": \"fp8\"}", WEIR_ERR_UNSUPPORTED,
         "\"quantization_config\": the checkpoint is quantized"},
        {"hidden_size", NULL, WEIR_ERR_FORMAT, "\"hidden_size\" is missing"},
        {"hidden_size", "\"64\"", WEIR_ERR_FORMAT, "\"hidden_size\" is not a whole number"},
        {"hidden_size", "0", WEIR_ERR_FORMAT, "\"hidden_size\" is 0, expected 1 to 1048576"},
        {"hidden_size", "65", WEIR_ERR_FORMAT, "has shape [1024, 64], expected [1024, 65]"},
        {"head_dim", "1026", WEIR_ERR_FORMAT, "\"head_dim\" is 1026, expected 2 to 1024"},
        {"linear_key_head_dim", "1025", WEIR_ERR_FORMAT,
         "\"linear_key_head_dim\" is 1025, expected 1 to 1024"},
        {"linear_value_head_dim", "1025", WEIR_ERR_FORMAT,
         "\"linear_value_head_dim\" is 1025, expected 1 to 1024"},
        {"vocab_size", "1025", WEIR_ERR_FORMAT, "has shape [1024, 64], expected [1025, 64]"},
        {"intermediate_size", NULL, WEIR_ERR_FORMAT, "\"intermediate_size\" is missing"},
        {"num_hidden_layers", "3", WEIR_ERR_FORMAT, "\"layer_types\" has 4 entries, expected 3"},
        {"num_key_value_heads", "3", WEIR_ERR_FORMAT, "\"num_attention_heads\" is 2, expected a"},
        {"linear_num_key_heads", "3", WEIR_ERR_FORMAT, "\"linear_num_value_heads\" is 2, expec"},
        {"linear_value_head_dim", "64", WEIR_ERR_UNSUPPORTED,
         "\"linear_value_head_dim\" is 64, expected linear_key_head_dim 32"},
        {"layer_types", "[\"a\", \"b\", \"c\", \"d\"]", WEIR_ERR_UNSUPPORTED,
         "layer 0 is neither linear_attention nor full_attention"},
        {"layer_types", "[\"full_attention\", 1, 2, 3]", WEIR_ERR_UNSUPPORTED,
         "layer 1 is neither"},
        {"attention_bias", "true", WEIR_ERR_UNSUPPORTED,
         "\"attention_bias\" is true, expected false"},
        {"attn_output_gate", "false", WEIR_ERR_UNSUPPORTED, "is false, expected true"},
        {"attention_bias", "0", WEIR_ERR_FORMAT, "\"attention_bias\" is not true or false"},
        {"hidden_act", "\"gelu\"", WEIR_ERR_UNSUPPORTED, "\"hidden_act\" is something else"},
        {"mlp_only_layers", "[1]", WEIR_ERR_UNSUPPORTED, "\"mlp_only_layers\" is a list"},
        {"decoder_sparse_step", "2", WEIR_ERR_UNSUPPORTED, "\"decoder_sparse_step\" is not 1"},
        {"rope_parameters", "{}", WEIR_ERR_FORMAT, "\"rope_theta\" is missing"},
        {"rope_parameters", "3", WEIR_ERR_FORMAT, "\"rope_parameters\" is not an object"},
        {"rope_parameters", "{\"rope_theta\": 0}", WEIR_ERR_FORMAT, "\"rope_theta\" is 0, expec"},
        {"rope_parameters", "{\"rope_theta\": 1e7, \"rope_type\": \"dynamic\"}",
         WEIR_ERR_UNSUPPORTED, "\"rope_type\" is \"dynamic\", expected default, linear or yarn"},
        {"rope_parameters", "{\"rope_theta\": 1e7, \"rope_type\": \"yarn\"}", WEIR_ERR_FORMAT,
         "\"factor\" is missing"},
        {"rope_parameters",
         "{\"rope_theta\": 1e7, \"rope_type\": \"yarn\", \"factor\": 4, \"mscale\": 1}",
         WEIR_ERR_UNSUPPORTED, "\"mscale\" is there, expected YaRN's own"},
        {"rope_parameters", "{\"rope_theta\": 1e7, \"partial_rotary_factor\": 0.1}",
         WEIR_ERR_FORMAT, "rotates 3 of 32, expected an even number"},
        {"rope_parameters", "{\"rope_theta\": 1e7, \"mrope_section\": [1, 2]}", WEIR_ERR_FORMAT,
         "\"mrope_section\" is not a list of 3 numbers"},
        {"rope_parameters", "{\"rope_theta\": 1e7, \"mrope_section\": [1, 2, -3]}", WEIR_ERR_FORMAT,
         "\"mrope_section\" has no number from 0 to 1048576"},
        {"rms_norm_eps", "-1", WEIR_ERR_FORMAT, "\"rms_norm_eps\" is -1"},
        {"eos_token_id", "[]", WEIR_ERR_FORMAT, "\"eos_token_id\" does not begin with a token id"},
        {"tie_word_embeddings", "false", WEIR_ERR_FORMAT, "has no tensor lm_head.weight"},
    };
    const char *folder = make_checkpoint("nano", false);
    size_t size;
    uint8_t *config = test_read_file(folder_file(folder, "config.json"), &size);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        folder_write(folder, "config.json", config, size);
        config_set(folder, bad[i].key, bad[i].json);
        check_refused(folder, bad[i].status, bad[i].text);
    }
    free(config);
}

TEST(refused_checkpoint_of_too_many_experts)
{
    const char *folder = make_checkpoint("nanomoe", false);
    config_set(folder, "num_experts", "4097");
    check_refused(folder, WEIR_ERR_FORMAT, "\"num_experts\" is 4097, expected 1 to 4096");
}

TEST(refused_checkpoint_of_two_mtp_blocks)
{
    const char *folder = make_checkpoint("nano", true);
    config_set(folder, "mtp_num_hidden_layers", "2");
    check_refused(folder, WEIR_ERR_UNSUPPORTED,
                  "/bad-checkpoint/config.json: \"mtp_num_hidden_layers\" is 2, at most 1 can");
    struct weir_convert_options options;
    weir_convert_options_init(&options);
    options.mtp = false;
    struct weir_error err = {0};
    CHECK_OK(weir_convert(folder, test_scratch("without.gguf"), &options, &err), &err);
}
