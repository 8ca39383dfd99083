/* SPDX-License-Identifier: MIT
 * Tests of the keys that come from the JSON of a checkpoint: of the architecture, special tokens,
 * chat templates and sampling. Run alone: build/tests/weir-test hf_settings_ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/hf_config.h"
#include "folder.h"

static const char *make_checkpoint(const char *size)
{
    const char *folder = folder_fresh("settings");
    struct weir_synth_options options;
    weir_synth_options_init(&options);
    options.size = size;
    options.type = "f16";
    struct weir_error err = {0};
    CHECK_OK(weir_synth_checkpoint(folder, &options, &err), &err);
    return folder;
}

static struct gguf *convert(const char *folder)
{
    const char *path = test_scratch("settings.gguf");
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(weir_convert(folder, path, NULL, &err), &err);
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    folder_write(folder, name, text, strlen(text));
}

static void check_text(const struct gguf *gguf, const char *key, const char *expected)
{
    struct weir_error err = {0};
    struct span text = {0};
    CHECK_OK(gguf_get_text(gguf, key, &text, &err), &err);
    if (text.data == NULL || !span_equals(text, expected))
        test_fail(__FILE__, __LINE__, "%s is not \"%s\"", key, expected);
}

static void check_u32(const struct gguf *gguf, const char *key, uint32_t expected)
{
    struct weir_error err = {0};
    uint32_t value = UINT32_MAX;
    CHECK_OK(gguf_get_u32(gguf, key, &value, &err), &err);
    if (value != expected)
        test_fail(__FILE__, __LINE__, "%s is %u, expected %u", key, value, expected);
}

static void check_f32(const struct gguf *gguf, const char *key, float expected)
{
    struct weir_error err = {0};
    float value = -1;
    CHECK_OK(gguf_get_f32(gguf, key, &value, &err), &err);
    if (value != expected)
        test_fail(__FILE__, __LINE__, "%s is %g, expected %g", key, (double)value,
                  (double)expected);
}

static void check_integers(const struct gguf *gguf, const char *key, const int64_t *expected,
                           uint64_t count)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    CHECK(kv != NULL && kv->count == count);
    for (uint64_t i = 0; i < count; i++) {
        int64_t value;
        CHECK(gguf_kv_integer(kv, i, &value));
        CHECK_INT(value, expected[i]);
    }
}

static void refuse(const char *folder, const char *text)
{
    struct weir_error err = {0};
    CHECK_INT(weir_convert(folder, test_scratch("refused.gguf"), NULL, &err), WEIR_ERR_FORMAT);
    if (strstr(err.text, text) == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"", err.text, text);
}

/* ---- sampling -------------------------------------------------------------------------------- */

TEST(hf_settings_recommend_sampling)
{
    const char *folder = make_checkpoint("nano");
    write_text(folder, "generation_config.json",
               "{\"do_sample\": true, \"temperature\": 0.7, \"top_k\": 20, \"top_p\": 0.8,"
               " \"min_p\": 0, \"repetition_penalty\": 1.05, \"eos_token_id\": [1, 2]}");
    struct gguf *gguf = convert(folder);
    check_f32(gguf, "general.sampling.temp", 0.7f);
    check_integers(gguf, "general.sampling.top_k", (const int64_t[]){20}, 1);
    check_f32(gguf, "general.sampling.top_p", 0.8f);
    check_f32(gguf, "general.sampling.min_p", 0);
    check_f32(gguf, "general.sampling.penalty_repeat", 1.05f);
    CHECK_INT(gguf_find(gguf, "general.sampling.top_k")->type, GGUF_I32);
    gguf_close(gguf);
    write_text(folder, "generation_config.json", "{\"do_sample\": false, \"temperature\": 0.7}");
    gguf = convert(folder);
    CHECK(gguf_find(gguf, "general.sampling.temp") == NULL);
    gguf_close(gguf);
    write_text(folder, "generation_config.json", "{\"temperature\": \"hot\"}");
    refuse(folder, "/settings/generation_config.json: \"temperature\" is not a number");
    write_text(folder, "generation_config.json", "{\"top_k\": -1}");
    refuse(folder, "/settings/generation_config.json: \"top_k\" is -1, expected 0 to 2147483647");
}

/* ---- special tokens -------------------------------------------------------------------------- */

/* The special tokens of made-up vocabularies of 1024: 1017 <|endoftext|>, 1018 <|im_start|>, 1019
 * <|im_end|>, and so on. */
TEST(hf_settings_name_special_tokens)
{
    const char *folder = make_checkpoint("nano");
    write_text(folder, "tokenizer_config.json",
               "{\"bos_token\": {\"content\": \"<|im_start|>\"}, \"eos_token\": null,"
               " \"add_bos_token\": true, \"add_eos_token\": false}");
    struct gguf *gguf = convert(folder);
    check_u32(gguf, "tokenizer.ggml.bos_token_id", 1018);
    check_u32(gguf, "tokenizer.ggml.eos_token_id", 1017); /* of config.json */
    CHECK(gguf_find(gguf, "tokenizer.ggml.padding_token_id") == NULL);
    bool adds[2] = {false, true};
    struct weir_error err = {0};
    CHECK_OK(gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &adds[0], &err), &err);
    CHECK_OK(gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", &adds[1], &err), &err);
    CHECK(adds[0] && !adds[1]);
    CHECK(gguf_find(gguf, "tokenizer.chat_template") == NULL);
    gguf_close(gguf);
    write_text(folder, "tokenizer_config.json", "{\"eos_token\": \"<eos>\"}");
    refuse(folder, "/settings/tokenizer_config.json: \"eos_token\" is no token of tokenizer.json");
    write_text(folder, "tokenizer_config.json", "{\"eos_token\": 5}");
    refuse(folder, "/settings/tokenizer_config.json: \"eos_token\" is no token of tokenizer.json");
    write_text(folder, "tokenizer_config.json", "{\"add_bos_token\": 1}");
    refuse(folder, "\"add_bos_token\" is not true or false");
}

/* ---- chat templates -------------------------------------------------------------------------- */

TEST(hf_settings_carry_chat_templates)
{
    const char *folder = make_checkpoint("nano");
    write_text(folder, "tokenizer_config.json", "{\"chat_template\": \"{{ a }}\\n\"}");
    struct gguf *gguf = convert(folder);
    check_text(gguf, "tokenizer.chat_template", "{{ a }}\n");
    gguf_close(gguf);
    write_text(folder, "tokenizer_config.json",
               "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"t\"},"
               " {\"name\": \"default\", \"template\": \"d\"}]}");
    gguf = convert(folder);
    check_text(gguf, "tokenizer.chat_template", "d");
    check_text(gguf, "tokenizer.chat_template.tools", "t");
    const struct gguf_kv *names = gguf_find(gguf, "tokenizer.chat_templates");
    uint64_t cursor = 0;
    struct span name;
    CHECK(names != NULL && names->count == 1 && gguf_kv_next_text(names, &cursor, &name));
    CHECK(span_equals(name, "tools"));
    gguf_close(gguf);
    write_text(folder, "chat_template.jinja", "{{ own }}");
    gguf = convert(folder);
    check_text(gguf, "tokenizer.chat_template", "{{ own }}");
    CHECK(gguf_find(gguf, "tokenizer.chat_templates") == NULL);
    gguf_close(gguf);
}

TEST(hf_settings_refuse_chat_templates)
{
    static const char *const bad[] = {"7", "[7]", "[{\"name\": \"a\"}]"};
    const char *folder = make_checkpoint("nano");
    for (size_t i = 0; i < 3; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"chat_template\": %s}", bad[i]);
        write_text(folder, "tokenizer_config.json", text);
        refuse(folder,
               "/settings/tokenizer_config.json: \"chat_template\" is neither a text nor a list");
    }
    write_text(folder, "tokenizer_config.json",
               "{\"chat_template\": [{\"name\": \"default\", \"template\": \"a\"},"
               " {\"name\": \"default\", \"template\": \"b\"}]}");
    refuse(folder, "/settings/tokenizer_config.json: \"chat_template\" has two templates named "
                   "\"default\", expected one");
    folder_write(folder, "chat_template.jinja", "{{ a }}\0{{ b }}", 15);
    refuse(folder, "/settings/chat_template.jinja: byte 7 is 0, expected a text");
}

/* ---- the architecture ------------------------------------------------------------------------ */

static void config_set(const char *folder, const char *key, json_t *value)
{
    json_t *config = folder_read_json(folder, "config.json");
    json_t *text = json_object_get(config, "text_config");
    json_object_set_new(text == NULL ? config : text, key, value);
    folder_write_json(folder, "config.json", config);
}

TEST(hf_settings_of_rope)
{
    const char *folder = make_checkpoint("nano");
    config_set(folder, "rope_parameters",
               json_loads("{\"rope_type\": \"yarn\", \"rope_theta\": 5e6, \"factor\": 4,"
                          " \"original_max_position_embeddings\": 65536, \"beta_fast\": 32,"
                          " \"beta_slow\": 1, \"partial_rotary_factor\": 0.5}",
                          0, NULL));
    struct gguf *gguf = convert(folder);
    check_f32(gguf, "qwen35.rope.freq_base", 5e6f);
    check_u32(gguf, "qwen35.rope.dimension_count", 16);
    check_text(gguf, "qwen35.rope.scaling.type", "yarn");
    check_f32(gguf, "qwen35.rope.scaling.factor", 4);
    check_u32(gguf, "qwen35.rope.scaling.original_context_length", 65536);
    /* thirds of the 8 pairs, since the file does not say */
    check_integers(gguf, "qwen35.rope.dimension_sections", (const int64_t[]){3, 3, 2, 0}, 4);
    gguf_close(gguf);
    /* The older form: beside each other in the model. */
    config_set(folder, "rope_parameters", json_null());
    config_set(folder, "rope_theta", json_real(1e6));
    config_set(folder, "rope_scaling",
               json_loads("{\"type\": \"linear\", \"factor\": 2.5}", 0, NULL));
    gguf = convert(folder);
    check_f32(gguf, "qwen35.rope.freq_base", 1e6f);
    check_u32(gguf, "qwen35.rope.dimension_count", 8);
    check_text(gguf, "qwen35.rope.scaling.type", "linear");
    check_f32(gguf, "qwen35.rope.scaling.factor", 2.5f);
    check_u32(gguf, "qwen35.rope.scaling.original_context_length", 262144);
    gguf_close(gguf);
}

/* Without a list the interval decides. */
TEST(hf_settings_of_layers)
{
    const char *folder = make_checkpoint("nano");
    config_set(folder, "layer_types", json_null());
    struct gguf *gguf = convert(folder);
    check_u32(gguf, "qwen35.full_attention_interval", 4);
    CHECK(gguf_find(gguf, "qwen35.attention.recurrent_layers") == NULL);
    CHECK(gguf_find_tensor(gguf, "blk.3.attn_q.weight") != NULL);
    gguf_close(gguf);
}

/* The keys alone of a config with these layers. */
static struct gguf *write_layers(const char *folder, json_t *layers)
{
    json_t *config = folder_read_json(folder, "config.json");
    json_t *text = json_object_get(config, "text_config");
    const char *path = test_scratch("layers.gguf");
    struct weir_error err = {0};
    struct hf_config parsed;
    struct gguf_writer *writer;
    struct gguf *gguf;
    json_object_set_new(text, "num_hidden_layers",
                        json_integer((json_int_t)json_array_size(layers)));
    json_object_set_new(text, "layer_types", layers);
    json_object_del(text, "full_attention_interval");
    CHECK_OK(hf_config_parse(&parsed, config, "config.json", &err), &err);
    json_decref(config);
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    CHECK_OK(hf_config_write(&parsed, 1, writer, &err), &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

TEST(hf_settings_of_irregular_layers)
{
    static const char linear[] = "linear_attention", full[] = "full_attention";
    const char *folder = make_checkpoint("nano");
    struct gguf *gguf =
        write_layers(folder, json_pack("[sssss]", linear, full, linear, full, full));
    check_u32(gguf, "qwen35.block_count", 6);
    check_u32(gguf, "qwen35.full_attention_interval", 2);
    check_integers(gguf, "qwen35.attention.recurrent_layers", (const int64_t[]){1, 0, 1, 0, 0, 0},
                   6);
    gguf_close(gguf);
    gguf = write_layers(folder, json_pack("[sssss]", linear, linear, full, linear, linear));
    check_u32(gguf, "qwen35.full_attention_interval", 3);
    CHECK(gguf_find(gguf, "qwen35.attention.recurrent_layers") == NULL);
    gguf_close(gguf);
    gguf = write_layers(folder, json_pack("[ss]", linear, linear));
    check_integers(gguf, "qwen35.attention.recurrent_layers", (const int64_t[]){1, 1, 0}, 3);
    gguf_close(gguf);
}
