// Directories and the one way in which we publish a file: written under a temporary name, synced, renamed
// to a name that nobody has yet, directory synced. A file that appeared meanwhile is never replaced.
//
// Reentrant functions; TempFile is thread-bound.
#pragma once

#include <string>
#include <vector>

#include "shared/base/file.h"

namespace litestream {

std::string parent_directory(const std::string& path);  // "/a/b" -> "/a", "b" -> "."
std::string join_path(const std::string& directory, std::string_view name);

// Creates the directory and its missing parents; one that exists is left as it is.
Status make_directories(const std::string& path, mode_t mode);
// The same for one level, where a symbolic link in its place is refused: what is written inside must not end
// up elsewhere.
Status make_real_directory(const std::string& path, mode_t mode);
Status sync_directory(const std::string& path);

struct DirectoryEntry {
    std::string name;
    bool is_directory = false;
};
// Without "." and "..", sorted by name (byte order). A missing directory is kNotFound.
Result<std::vector<DirectoryEntry>> list_directory(const std::string& path);

Status remove_file(const std::string& path);            // a missing file is no error
Status remove_directory_tree(const std::string& path);  // likewise; symbolic links are removed, not followed

enum class Durability { kNone, kSynced };
enum class Replace { kNever, kAllowed };

// A new file (O_EXCL) that disappears unless it is published.
class TempFile {
  public:
    // At PATH, which is `target` + `suffix`; a leftover of the same name is removed first.
    static Result<TempFile> create(std::string target, const char* suffix, mode_t mode);
    TempFile(TempFile&& other) noexcept = default;
    TempFile& operator=(TempFile&& other) noexcept = default;
    ~TempFile();

    File& file() { return file_; }
    // kSynced: the bytes, then the name, survive power loss. kExists if the target appeared (kNever).
    Status publish(Durability durability, Replace replace);

  private:
    TempFile(File file, std::string target) : file_(std::move(file)), target_(std::move(target)) {}
    File file_;  // open until published or removed
    std::string target_;
};

// A file for reading and writing that has no name and goes with its descriptor; mode 0600.
Result<File> open_nameless_file(const std::string& directory);

// Small files that are rewritten as a whole: temporary name, sync, rename, directory sync.
Status write_file_atomically(const std::string& path, ByteView bytes, mode_t mode);

}  // namespace litestream
