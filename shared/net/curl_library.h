// The system's libcurl, loaded when the first request needs it and never before: who replicates to a
// directory need not have it. RTLD_DEEPBIND, so that libcurl finds its own TLS library and not the one that
// the host program or this module carries; not under sanitizers, which cannot bear it. It stays loaded.
//
// For CurlTransport only: elsewhere libcurl's header is not seen. Thread-safe.
#pragma once

#include <curl/curl.h>

#include "shared/base/result.h"

namespace litestream {

// The functions of libcurl that are used, under their own names without "curl_".
struct CurlLibrary {
    decltype(&curl_global_init) global_init = nullptr;
    decltype(&curl_version_info) version_info = nullptr;
    decltype(&curl_easy_init) easy_init = nullptr;
    decltype(&curl_easy_setopt) easy_setopt = nullptr;
    decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
    decltype(&curl_easy_reset) easy_reset = nullptr;
    decltype(&curl_easy_strerror) easy_strerror = nullptr;
    decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
    decltype(&curl_multi_init) multi_init = nullptr;
    decltype(&curl_multi_add_handle) multi_add_handle = nullptr;
    decltype(&curl_multi_remove_handle) multi_remove_handle = nullptr;
    decltype(&curl_multi_perform) multi_perform = nullptr;
    decltype(&curl_multi_poll) multi_poll = nullptr;
    decltype(&curl_multi_wakeup) multi_wakeup = nullptr;
    decltype(&curl_multi_info_read) multi_info_read = nullptr;
    decltype(&curl_multi_cleanup) multi_cleanup = nullptr;
    decltype(&curl_slist_append) slist_append = nullptr;
    decltype(&curl_slist_free_all) slist_free_all = nullptr;
};

// kCantOpen: there is none, or it is too old; the message says which package brings it.
Result<const CurlLibrary*> curl_library();

}  // namespace litestream
