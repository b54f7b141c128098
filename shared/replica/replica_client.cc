#include "shared/replica/replica_client.h"

#include "shared/replica/file_replica_client.h"

namespace litestream {

Result<std::unique_ptr<ReplicaClient>> open_replica_client(const Url& url, unsigned mode) {
    if (url.scheme == "file") return FileReplicaClient::create(url, mode);
    const std::string accepted = ": accepted is file:///ABSOLUTE/PATH";
    if (url.scheme == "s3") {
        return bad_input(url.to_string() + ": s3 is not available in this version" + accepted);
    }
    return bad_input(url.to_string() + ": unknown scheme \"" + url.scheme + "\"" + accepted);
}

}  // namespace litestream
