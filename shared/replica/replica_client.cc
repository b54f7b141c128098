#include "shared/replica/replica_client.h"

#include <algorithm>
#include <tuple>

#include "shared/replica/file_replica_client.h"
#include "shared/replica/s3_open.h"

namespace litestream {

void sort_files(std::vector<SnapshotInfo>& infos) {
    std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) {
        return std::tie(a.index, a.name) < std::tie(b.index, b.name);
    });
}

void sort_files(std::vector<SegmentInfo>& infos) {
    std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) {
        return std::tie(a.index, a.offset, a.name) < std::tie(b.index, b.offset, b.name);
    });
}

Status FirstError::status() const {
    if (count_ < 2) return first_;
    Error error = first_.error();
    error.message += ", and " + std::to_string(count_ - 1) + " more";
    return error;
}

Status ReplicaClient::remove_all(const std::vector<std::string>& names) {
    FirstError errors;
    for (const std::string& name : names) {
        const Status removed = remove(name);
        if (!removed && removed.error().code == ErrorCode::kInterrupt) return removed;
        errors.see(removed);
    }
    return errors.status();
}

Result<std::unique_ptr<ReplicaClient>> open_replica_client(const Url& url, unsigned mode) {
    if (url.scheme == "file") return FileReplicaClient::create(url, mode);
    if (url.scheme == "s3") return open_s3_client(url);
    return bad_input(url.to_string() + ": unknown scheme \"" + url.scheme +
                     "\": accepted are file:///ABSOLUTE/PATH and s3://BUCKET/PATH");
}

}  // namespace litestream
