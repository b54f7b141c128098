#include "shared/replica/file_replica_client.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/format/path.h"
#include "tests/replica/replica_files.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "0123456789abcdef";

std::string refusal(std::string_view text) {
    const auto url = Url::parse(text);
    if (!url) return url.error().message;
    const auto client = open_replica_client(*url);
    return client ? std::string() : client.error().message;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

unsigned mode_of(const std::string& path) {
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

Producer text(std::string_view content) {
    return [content](const Sink& sink) { return sink(as_bytes(content)); };
}

}  // namespace

TEST_CASE("a file URL must be absolute and on this machine") {
    CHECK(refusal("file:///backup/app").empty());
    CHECK(refusal("file://localhost/backup/app").empty());

    for (const char* wrong : {"file://backup/app", "file://host:1/app", "file:///", "file://localhost"}) {
        INFO(wrong);
        CHECK(contains(refusal(wrong), "file:///ABSOLUTE/PATH"));
    }
}

TEST_CASE("an unknown scheme or key is refused by name") {
    CHECK(contains(refusal("ftp://host/app"), "unknown scheme \"ftp\""));
    CHECK(contains(refusal("ftp://host/app"), "file:///ABSOLUTE/PATH"));
    CHECK(contains(refusal("file:///backup?colour=red"), "\"colour\""));
}

TEST_CASE("a replica's directory may be a symbolic link") {
    ReplicaFiles files;
    const std::string link = files.root() + "-link";
    REQUIRE(make_directories(files.root(), 0700));
    REQUIRE(::symlink(files.root().c_str(), link.c_str()) == 0);
    const auto client = *open_replica_client(*Url::parse("file://" + link));

    CHECK(client->publish("owner", text("first")));
    CHECK(client->publish(segment_path(kGeneration, 0, 0), text("segment")));
    CHECK(client->settle({kGeneration, 0, 32}));
    CHECK(client->remove_all({snapshot_path(kGeneration, 0)}));

    REQUIRE(::unlink(link.c_str()) == 0);
}

TEST_CASE("a directory that is not the one written before fails one publish") {
    ReplicaFiles files;
    ReplicaClient& client = files.client();
    REQUIRE(client.publish(segment_path(kGeneration, 0, 0), text("segment")));

    REQUIRE(remove_directory_tree(files.root()));

    const Status refused = client.publish(segment_path(kGeneration, 0, 32), text("segment"));
    REQUIRE_FALSE(refused);
    CHECK(contains(refused.error().message, "the replica's directory was removed or replaced"));
    CHECK(client.segments(kGeneration)->empty());
    CHECK(client.publish(segment_path(kGeneration, 0, 0), text("segment")));
}

TEST_CASE("the flat layout of Litestream 0.3 is listed too") {
    ReplicaFiles files;
    files.copy_golden("litestream-0.3.13");

    const auto segments = files.client().segments("6dd45e6b2e4963c6");

    REQUIRE(segments->size() == 4);
    CHECK((*segments)[2].offset == 0xae058);
    CHECK((*segments)[3].index == 1);
    CHECK(files.client().snapshots("6dd45e6b2e4963c6")->size() == 1);
}

TEST_CASE("a removed file takes its empty folders with it, and a missing one is no error") {
    ReplicaFiles files;
    ReplicaClient& client = files.client();
    REQUIRE(client.publish(segment_path(kGeneration, 0, 0), text("x")));
    REQUIRE(client.publish(segment_path(kGeneration, 1, 0), text("x")));

    REQUIRE(client.remove(segment_path(kGeneration, 0, 0)));
    CHECK_FALSE(file_exists(join_path(files.root(), index_path(kGeneration, 0))));
    CHECK(client.segments(kGeneration)->size() == 1);
    REQUIRE(client.remove(segment_path(kGeneration, 1, 0)));
    REQUIRE(client.remove(segment_path(kGeneration, 1, 0)));

    CHECK(client.generations()->empty());
    CHECK(file_exists(join_path(files.root(), generations_path())));
}

TEST_CASE("the remains of a generation are empty folders and temporary files, nothing else") {
    ReplicaFiles files;
    ReplicaClient& client = files.client();
    REQUIRE(make_directories(join_path(files.root(), index_path(kGeneration, 3)), 0700));
    REQUIRE(make_directories(join_path(files.root(), snapshots_path(kGeneration)), 0700));
    const std::string remnant = snapshots_path(kGeneration) + "/0000000000000001.snapshot.lz4.tmp-0badcafe";
    files.write(remnant, as_bytes("half"));
    files.write(generation_path(kGeneration) + "/note", as_bytes("mine"));

    REQUIRE(client.remove_remains(kGeneration));
    CHECK(files.names().size() == 2);  // somebody may be writing it
    files.set_time(remnant, 0);
    REQUIRE(client.remove_remains(kGeneration));
    CHECK(files.names() == std::vector<std::string>{generation_path(kGeneration) + "/note"});
    files.remove(generation_path(kGeneration) + "/note");
    REQUIRE(client.remove_remains(kGeneration));
    REQUIRE(client.remove_remains(kGeneration));

    CHECK(client.generations()->empty());
}

TEST_CASE("files and folders are never wider than the mode that was given") {
    ReplicaFiles files;
    auto client = open_replica_client(*Url::parse(files.url()), 0640);
    const std::string name = segment_path(kGeneration, 0, 0);
    const mode_t umask_before = ::umask(0);

    const Status status = (*client)->publish(name, text("x"));
    ::umask(umask_before);

    REQUIRE(status);
    CHECK(mode_of(join_path(files.root(), name)) == 0640);
    CHECK(mode_of(parent_directory(join_path(files.root(), name))) == 0750);
    CHECK(mode_of(files.root()) == 0750);
}

TEST_CASE("a path through a file is an error that names it") {
    ReplicaFiles files;
    REQUIRE(files.client().publish("generations", text("in the way")));

    const auto listed = files.client().generations();
    const Status status = files.client().publish(segment_path(kGeneration, 0, 0), text("x"));

    REQUIRE_FALSE(listed);
    CHECK(contains(listed.error().message, files.root()));
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCantOpen);
}

}  // namespace litestream
