/* SPDX-License-Identifier: MIT
 * Keys, prefixes and origins, by texts alone. Knows no connection. */
#include "serve/http_access.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct text_piece {
    const char *text;
    size_t length;
};

/* ---- options --------------------------------------------------------------------------------- */

static enum weir_status copy_keys(struct http_access *access, const struct http_options *options,
                                  struct weir_error *err)
{
    access->keys = mem_alloc(options->keys_count, sizeof *access->keys, err);
    if (access->keys == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < options->keys_count; i++) {
        const size_t length = strlen(options->keys[i]);
        if (length == 0 || length > HTTP_KEY_MAX)
            return err_set(err, WEIR_ERR_ARGUMENT, "key %u has %zu bytes, not 1 to %d", i + 1,
                           length, HTTP_KEY_MAX);
        memcpy(access->keys[i], options->keys[i], length);
    }
    access->keys_count = options->keys_count;
    return WEIR_OK;
}

static enum weir_status copy_prefix(struct http_access *access, const char *prefix,
                                    struct weir_error *err)
{
    size_t length = strlen(prefix);
    if (length > 0 && prefix[0] != '/')
        return err_set(err, WEIR_ERR_ARGUMENT, "the prefix '%s' does not begin with a slash",
                       prefix);
    while (length > 0 && prefix[length - 1] == '/')
        length--;
    access->prefix = mem_copy_text(prefix, length, err);
    return access->prefix == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static enum weir_status copy_hosts(struct http_access *access, const struct http_options *options,
                                   struct weir_error *err)
{
    const char *own = options->host == NULL ? "" : options->host, *hosts = options->allowed_hosts;
    access->own = mem_copy_text(own, strlen(own), err);
    if (hosts != NULL)
        access->hosts = mem_copy_text(hosts, strlen(hosts), err);
    return access->own == NULL || (hosts != NULL && access->hosts == NULL) ? WEIR_ERR_MEMORY
                                                                           : WEIR_OK;
}

static enum weir_status copy_cors(struct http_access *access, const struct http_options *options,
                                  struct weir_error *err)
{
    const struct {
        char **copy;
        const char *text, *otherwise;
    } texts[] = {
        {&access->origins, options->cors_origins, "*"},
        {&access->methods, options->cors_methods, "GET, POST, DELETE, OPTIONS"},
        {&access->headers, options->cors_headers, "*"},
    };
    access->credentials = options->cors_credentials;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = texts[i].text != NULL ? texts[i].text : texts[i].otherwise;
        if (strpbrk(text, "\r\n") != NULL)
            return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is more than one line", text);
        *texts[i].copy = mem_copy_text(text, strlen(text), err);
        if (*texts[i].copy == NULL)
            return WEIR_ERR_MEMORY;
    }
    return WEIR_OK;
}

enum weir_status http_access_init(struct http_access *access, const struct http_options *options,
                                  struct weir_error *err)
{
    enum weir_status status;
    TRY(copy_keys(access, options, err));
    TRY(copy_prefix(access, options->prefix == NULL ? "" : options->prefix, err));
    TRY(copy_hosts(access, options, err));
    TRY(copy_cors(access, options, err));
out:
    return status;
}

void http_access_release(struct http_access *access)
{
    mem_free(access->keys);
    mem_free(access->prefix);
    mem_free(access->hosts);
    mem_free(access->own);
    mem_free(access->origins);
    mem_free(access->methods);
    mem_free(access->headers);
    *access = (struct http_access){.keys = NULL};
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* All bytes of all keys are looked at, those behind their ends too, whatever the first ones say:
 * sums without a branch, of which only the last is read. */
static bool is_key(const struct http_access *access, const char *given)
{
    uint8_t padded[HTTP_KEY_MAX + 1] = {0};
    const size_t length = strnlen(given, sizeof padded);
    if (length == sizeof padded)
        return false; /* longer than any */
    memcpy(padded, given, length);
    uint32_t equal = 0;
    for (uint32_t k = 0; k < access->keys_count; k++) {
        uint32_t difference = 0;
        for (size_t i = 0; i < sizeof padded; i++)
            difference |= (uint32_t)(padded[i] ^ access->keys[k][i]);
        equal |= (difference - 1) >> 31; /* 1 of 0, else 0: it is below 256 */
    }
    return equal != 0;
}

/* "Bearer KEY", or the key alone. */
static const char *bearer_key(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return authorization;
    const char *key = authorization + sizeof scheme - 1;
    return key + strspn(key, " ");
}

bool http_access_allows(const struct http_access *access, const char *authorization,
                        const char *api_key)
{
    if (access->keys_count == 0)
        return true;
    const bool by_bearer = is_key(access, authorization == NULL ? "" : bearer_key(authorization));
    const bool by_header = is_key(access, api_key == NULL ? "" : api_key);
    return by_bearer | by_header;
}

/* ---- paths and origins ----------------------------------------------------------------------- */

const char *http_access_path(const struct http_access *access, const char *path)
{
    const size_t length = strlen(access->prefix);
    if (strncmp(path, access->prefix, length) != 0)
        return NULL;
    if (path[length] == 0)
        return "/";
    return path[length] == '/' ? path + length : NULL;
}

/* Without a port, and without the dot that ends a full name; "" of what is no host. */
static struct text_piece name_of(const char *host, size_t length)
{
    const char *bracket = memchr(host, ']', length);
    size_t end = strcspn(host, ":");
    if (length > 0 && host[0] == '[')
        end = bracket == NULL ? 0 : (size_t)(bracket - host) + 1;
    if (end > length)
        end = length;
    if (end < length && host[end] != ':')
        end = 0;
    if (end > 1 && host[end - 1] == '.')
        end--;
    return (struct text_piece){host, end};
}

static bool is_same(struct text_piece a, struct text_piece b)
{
    return a.length == b.length && strncasecmp(a.text, b.text, a.length) == 0;
}

/* An address that a browser was told is no name that somebody else lets resolve to another one. */
static bool is_address(struct text_piece name)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr address;
    const bool is_six = name.length > 2 && name.text[0] == '[' && name.text[name.length - 1] == ']';
    const char *begin = is_six ? name.text + 1 : name.text;
    const size_t length = is_six ? name.length - 2 : name.length;
    if (length >= sizeof text)
        return false;
    memcpy(text, begin, length);
    return inet_pton(is_six ? AF_INET6 : AF_INET, text, &address) == 1;
}

/* RFC 6761 6.3: these never leave the machine. */
static bool is_local(struct text_piece name)
{
    static const char local[] = ".localhost";
    const size_t length = sizeof local - 1;
    return is_same(name, (struct text_piece){local + 1, length - 1}) ||
           (name.length > length &&
            is_same((struct text_piece){name.text + name.length - length, length},
                    (struct text_piece){local, length}));
}

/* Of the items, hosts with or without ports, origins of pages too. */
static bool is_name_listed(const char *list, struct text_piece name)
{
    while (*list != 0) {
        list += strspn(list, ", ");
        const size_t item = strcspn(list, ", ");
        const char *scheme = strstr(list, "://");
        const size_t skipped =
            scheme != NULL && scheme < list + item ? (size_t)(scheme + 3 - list) : 0;
        if (item > skipped && is_same(name_of(list + skipped, item - skipped), name))
            return true;
        list += item;
    }
    return false;
}

void http_access_watch(struct http_access *access, bool is_loopback)
{
    access->is_watched = access->hosts != NULL ? strcmp(access->hosts, "*") != 0
                                               : is_loopback && access->keys_count == 0;
}

bool http_access_is_strange(const struct http_access *access, const char *host)
{
    if (!access->is_watched || host == NULL)
        return false;
    const struct text_piece name = name_of(host, strlen(host));
    const struct text_piece own = name_of(access->own, strlen(access->own));
    if (name.length == 0)
        return true;
    return !is_address(name) && !is_local(name) && !is_same(name, own) &&
           !(access->hosts != NULL && is_name_listed(access->hosts, name)) &&
           !is_name_listed(access->origins, name);
}

static bool is_listed(const char *list, const char *origin)
{
    const size_t length = strlen(origin);
    while (*list != 0) {
        list += strspn(list, ", ");
        const size_t item = strcspn(list, ", ");
        if (item == length && item > 0 && strncasecmp(list, origin, item) == 0)
            return true;
        list += item;
    }
    return false;
}

static bool is_own(const char *origin, const char *host)
{
    const char *name = strstr(origin, "://");
    return name != NULL && host != NULL && strcasecmp(name + 3, host) == 0;
}

bool http_access_is_foreign(const struct http_access *access, const char *origin, const char *host)
{
    return origin != NULL && strcmp(access->origins, "*") != 0 &&
           !is_listed(access->origins, origin) && !is_own(origin, host);
}

const char *http_access_origin(const struct http_access *access, const char *origin)
{
    if (strcmp(access->origins, "*") != 0)
        return origin != NULL && is_listed(access->origins, origin) ? origin : NULL;
    /* "*" does not hold for requests with credentials, so the origin is named */
    return access->credentials && origin != NULL ? origin : "*";
}
