#include "shared/replica/restorer.h"
#include "shared/replica/retention.h"
#include "tests/fuzz/archive.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

// A restore publishes something and says which position it is, or it leaves nothing.
void check_restore(ReplicaClient& client, const std::string& folder, const RestoreOptions& options) {
    const std::string path = join_path(folder, "restored.db");
    const auto restored = restore(client, path, options);
    claim(restored ? is_generation_name(restored->position.generation) : !restored.error().message.empty());
    const auto entries = list_directory(folder);
    claim(entries.has_value() && entries->size() == (restored ? 1 : 0));
    if (restored) claim(remove_file(path).has_value());
}

}  // namespace

// However a replica's directory was left, or made up.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const TempDirectory directory;
    const std::string root = directory.path("replica");
    const std::string output = directory.path("output");
    claim(make_directories(root, 0700).has_value() && make_directories(output, 0700).has_value());
    unpack({data, size}, root);
    const auto url = Url::parse("file://" + root);
    claim(url.has_value());
    const auto client = open_replica_client(*url);
    claim(client.has_value());

    check_restore(**client, output, {});
    RestoreOptions first_index;
    first_index.index = 0;
    check_restore(**client, output, first_index);
    const auto generations = load_snapshots(**client);
    if (!generations) return 0;
    for (const Removal& removal : plan_retention(*generations, "", 0).removals) {
        claim(is_generation_name(removal.generation));
    }
    return 0;
}
