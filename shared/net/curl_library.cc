#include "shared/net/curl_library.h"

#include <dlfcn.h>

#include <mutex>
#include <string>

namespace litestream {
namespace {

// The first one whose signature covers headers of the caller's own, the body's checksum among them.
constexpr unsigned kMinVersion = 0x075800;
constexpr const char* kNames[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
constexpr const char* kNeeds =
    "object storage needs libcurl 7.88 or newer: install the package libcurl4 (on RPM systems libcurl)";

#if defined(__has_feature)
#define LITESTREAM_HAS_FEATURE(x) __has_feature(x)
#else
#define LITESTREAM_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    LITESTREAM_HAS_FEATURE(address_sanitizer) || LITESTREAM_HAS_FEATURE(thread_sanitizer)
constexpr int kBinding = 0;
#else
constexpr int kBinding = RTLD_DEEPBIND;
#endif

void* open_any() {
    for (const char* name : kNames) {
        if (void* handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL | kBinding)) return handle;
    }
    return nullptr;
}

class Symbols {
  public:
    explicit Symbols(void* handle) : handle_(handle) {}
    template <typename Function>
    void find(const char* name, Function& out) {
        out = reinterpret_cast<Function>(::dlsym(handle_, name));
        if (out == nullptr && missing_.empty()) missing_ = name;
    }
    const std::string& missing() const { return missing_; }

  private:
    void* const handle_;
    std::string missing_;  // the first one
};

Status bind(void* handle, CurlLibrary& curl) {
    Symbols symbols(handle);
    symbols.find("curl_global_init", curl.global_init);
    symbols.find("curl_version_info", curl.version_info);
    symbols.find("curl_easy_init", curl.easy_init);
    symbols.find("curl_easy_setopt", curl.easy_setopt);
    symbols.find("curl_easy_getinfo", curl.easy_getinfo);
    symbols.find("curl_easy_reset", curl.easy_reset);
    symbols.find("curl_easy_strerror", curl.easy_strerror);
    symbols.find("curl_easy_cleanup", curl.easy_cleanup);
    symbols.find("curl_multi_init", curl.multi_init);
    symbols.find("curl_multi_add_handle", curl.multi_add_handle);
    symbols.find("curl_multi_remove_handle", curl.multi_remove_handle);
    symbols.find("curl_multi_perform", curl.multi_perform);
    symbols.find("curl_multi_poll", curl.multi_poll);
    symbols.find("curl_multi_wakeup", curl.multi_wakeup);
    symbols.find("curl_multi_info_read", curl.multi_info_read);
    symbols.find("curl_multi_cleanup", curl.multi_cleanup);
    symbols.find("curl_slist_append", curl.slist_append);
    symbols.find("curl_slist_free_all", curl.slist_free_all);
    if (symbols.missing().empty()) return {};
    return Error{ErrorCode::kCantOpen, "the libcurl here lacks " + symbols.missing() + "; " + kNeeds};
}

Status load(CurlLibrary& curl) {
    void* const handle = open_any();
    if (handle == nullptr) {
        const char* reason = ::dlerror();
        return Error{ErrorCode::kCantOpen, std::string(reason == nullptr ? "" : reason) + "; " + kNeeds};
    }
    LITESTREAM_TRY(bind(handle, curl));
    const curl_version_info_data* version = curl.version_info(CURLVERSION_NOW);
    if (version->version_num < kMinVersion) {
        return Error{ErrorCode::kCantOpen,
                     std::string("libcurl ") + version->version + " is too old; " + kNeeds};
    }
    if (curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) return {};
    return Error{ErrorCode::kCantOpen, "libcurl cannot be set up"};
}

}  // namespace

Result<const CurlLibrary*> curl_library() {
    static std::mutex mutex;
    static CurlLibrary curl;
    static bool is_loaded = false;
    const std::lock_guard lock(mutex);
    if (!is_loaded) LITESTREAM_TRY(load(curl));
    is_loaded = true;
    return &curl;
}

}  // namespace litestream
