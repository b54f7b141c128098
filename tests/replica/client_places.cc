#include "tests/replica/client_places.h"

namespace litestream {
namespace {

constexpr const char* kPrefix = "app/";

// Small, so that a few bytes go in parts and come in ranges.
S3Options small_pieces() {
    S3Options options = FakeStore::quick();
    options.part_size = 64;
    options.first_range_size = 40;
    options.range_size = 50;
    return options;
}

}  // namespace

// --- A directory ---

std::vector<std::string> DirectoryPlace::names() const {
    return file_exists(files_.root()) ? files_.names() : std::vector<std::string>();
}

void DirectoryPlace::put(const std::string& name, const std::string& content) {
    REQUIRE(make_directories(parent_directory(join_path(files_.root(), name)), 0700));
    files_.write(name, as_bytes(content));
}

// Nor can root remove a folder as if it were a file.
void DirectoryPlace::lock(const std::string& name) {
    files_.remove(name);
    put(name + "/in the way", "");
}

void DirectoryPlace::leave_half(const std::string& name, std::int64_t begun_ms) {
    put(name + ".tmp-0badcafe", "half");
    files_.set_time(name + ".tmp-0badcafe", begun_ms);
}

// --- A bucket ---

BucketPlace::BucketPlace() {
    store_.page_size = 2;
    client_ = another();
}

std::unique_ptr<ReplicaClient> BucketPlace::another() { return store_.client(small_pieces()); }

std::vector<std::string> BucketPlace::names() const {
    std::vector<std::string> names;
    for (const auto& [key, object] : store_.objects()) {
        REQUIRE(key.starts_with(kPrefix));
        names.push_back(key.substr(std::string(kPrefix).size()));
    }
    names.insert(names.end(), store_.open_uploads(), "an upload that is not complete");
    return names;
}

void BucketPlace::put(const std::string& name, const std::string& content) {
    store_.put(kPrefix + name, content);
}

void BucketPlace::lock(const std::string& name) { store_.locked.insert(kPrefix + name); }

void BucketPlace::leave_half(const std::string& name, std::int64_t begun_ms) {
    store_.begin_upload(kPrefix + name, begun_ms);
}

// --- What the tests of the suite do with a client ---

Producer text(std::string content) {
    return [content = std::move(content)](const Sink& sink) { return sink(as_bytes(content)); };
}

std::string letters(std::size_t size) {
    std::string content;
    for (std::size_t i = 0; i < size; ++i) content += static_cast<char>('a' + i % 26);
    return content;
}

std::string rest_of(Source& source) {
    std::string content;
    Bytes buffer(7);
    while (true) {
        const auto size = source.read(buffer);
        if (!size) return "error: " + size.error().message;
        if (*size == 0) return content;
        content += as_text(ByteView(buffer).first(*size));
    }
}

std::string content_of(ReplicaClient& client, const std::string& name) {
    const auto source = client.open(name);
    return source ? rest_of(**source) : "error: " + source.error().message;
}

}  // namespace litestream
