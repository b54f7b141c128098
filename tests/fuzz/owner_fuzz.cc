#include "shared/replica/owner.h"

#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

const std::string kGeneration(16, 'a');

Result<std::string> claim_as(ReplicaClient& client, const std::string& id, bool adopt) {
    return claim(client, {id, "/app.db", "machine"}, kGeneration, adopt, 0);
}

}  // namespace

// A record names its owner, who is let in; a stranger, and whoever meets a damaged one, is not, unless he
// adopts.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const TempDirectory directory;
    claim(write_file_atomically(directory.path(kOwnerName), {data, size}, 0600).has_value());
    const auto url = Url::parse("file://" + directory.path());
    claim(url.has_value());
    const auto client = open_replica_client(*url);
    claim(client.has_value());

    const auto record = read_owner(**client);
    claim(record ? record->has_value() && !(*record)->owner.id.empty()
                 : record.error().code == ErrorCode::kCorrupt);
    if (record) {
        const auto let_in = claim_as(**client, (*record)->owner.id, false);
        claim(let_in.has_value() && let_in->empty());
    }
    const std::string stranger = record ? (*record)->owner.id + "x" : "x";
    const auto refused = claim_as(**client, stranger, false);
    claim(record ? refused.has_value() && !refused->empty()
                 : !refused && refused.error().code == ErrorCode::kCorrupt);
    const auto adopted = claim_as(**client, stranger, true);
    claim(adopted.has_value() && adopted->empty());
    const auto now = read_owner(**client);
    claim(now.has_value() && now->has_value());
    return 0;
}
