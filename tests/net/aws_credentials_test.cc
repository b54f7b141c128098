#include "shared/net/aws_credentials.h"

#include "tests/net/aws_support.h"

using namespace litestream;

namespace {

constexpr const char* kContainer = "http://169.254.170.2/creds";

// A container whose keys last until 00:20:00 of the first day; the clock stands at 00:16:40.
AwsWorld& in_container(AwsWorld& world, const std::string& expiration = "1970-01-01T00:20:00Z") {
    world.environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/creds";
    world.services.answer(std::string("GET ") + kContainer, 200, lease_json("first", expiration));
    return world;
}

}  // namespace

TEST_CASE_FIXTURE(AwsWorld, "keys of the environment go before everything else") {
    write("home/.aws/credentials", "[default]\naws_access_key_id=file\naws_secret_access_key=file");
    environment["AWS_ACCESS_KEY_ID"] = "id";
    environment["AWS_SECRET_ACCESS_KEY"] = "secret";
    CHECK(shown() == "id secret");

    environment["AWS_SESSION_TOKEN"] = "token";
    CHECK(shown() == "id secret token");
    CHECK(services.asked.empty());
}

TEST_CASE_FIXTURE(AwsWorld, "LITESTREAM_ variables stand in for those of AWS that are not set") {
    environment["LITESTREAM_ACCESS_KEY_ID"] = "id";
    environment["LITESTREAM_SECRET_ACCESS_KEY"] = "secret";
    environment["AWS_SESSION_TOKEN"] = "of other keys";
    CHECK(shown() == "id secret");

    environment["AWS_ACCESS_KEY_ID"] = "aws";
    environment["AWS_SESSION_TOKEN"] = "token";
    CHECK(shown() == "aws secret token");
}

TEST_CASE_FIXTURE(AwsWorld, "one key without the other is an error that names what is missing") {
    environment["AWS_ACCESS_KEY_ID"] = "id";
    CHECK(shown() ==
          "credentials: the environment has one key, but neither AWS_SECRET_ACCESS_KEY nor "
          "LITESTREAM_SECRET_ACCESS_KEY");

    environment = {{"LITESTREAM_SECRET_ACCESS_KEY", "s3cret"}};
    CHECK(has(shown(), "neither AWS_ACCESS_KEY_ID nor LITESTREAM_ACCESS_KEY_ID"));
    CHECK_FALSE(has(shown(), "s3cret"));
}

TEST_CASE_FIXTURE(AwsWorld, "a key with an invisible character is refused and not shown") {
    environment["AWS_ACCESS_KEY_ID"] = "id";
    for (const std::string secret : {"s3cret\n", "s3 cret", "s3cret\r\nX: y", "s3cret\xC3\xA9"}) {
        environment["AWS_SECRET_ACCESS_KEY"] = secret;
        const auto refused = keys();

        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::kAuth);
        CHECK(has(refused.error().message, "credentials: the environment: a key or token there is too long"));
        CHECK_FALSE(has(refused.error().message, "s3"));
    }
}

TEST_CASE_FIXTURE(AwsWorld, "the shared files hold keys by profile, credentials before config") {
    write("home/.aws/credentials",
          "[default]\naws_access_key_id=a\naws_secret_access_key=b\n[p]\naws_access_key_id=c\n"
          "aws_secret_access_key=d\naws_session_token=e\n");
    write("home/.aws/config",
          "[default]\naws_access_key_id=x\naws_secret_access_key=y\n[profile q]\naws_access_key_id=f\n"
          "aws_secret_access_key=g\n");

    CHECK(shown() == "a b");
    environment["AWS_PROFILE"] = "p";
    CHECK(shown() == "c d e");
    environment["AWS_PROFILE"] = "q";
    CHECK(shown() == "f g");
    environment["AWS_PROFILE"] = "r";
    CHECK(has(shown(), "credentials: AWS_PROFILE asks for what is not there: "));
    CHECK(has(shown(), "profile \"r\" in " + directory.path("home/.aws/config") + " (no keys for it there)"));
    CHECK(services.asked.empty());
}

TEST_CASE_FIXTURE(AwsWorld, "the shared files may be elsewhere, and symbolic links") {
    environment["AWS_SHARED_CREDENTIALS_FILE"] = directory.path("link");
    const std::string target = write("c", "[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
    REQUIRE(::symlink(target.c_str(), directory.path("link").c_str()) == 0);
    CHECK(shown() == "a b");

    environment.erase("AWS_SHARED_CREDENTIALS_FILE");
    environment["AWS_CONFIG_FILE"] = target;
    CHECK(shown() == "a b");
}

TEST_CASE_FIXTURE(AwsWorld, "what is no regular file or too large is no shared file") {
    environment["AWS_PROFILE"] = "p";
    environment["AWS_SHARED_CREDENTIALS_FILE"] = directory.path("fifo");
    REQUIRE(::mkfifo(directory.path("fifo").c_str(), 0600) == 0);
    environment["AWS_CONFIG_FILE"] = write("large", std::string((1u << 20) + 1, '#'));

    CHECK(has(shown(), directory.path("fifo") + " (cannot be read)"));
    CHECK(has(shown(), directory.path("large") + " (cannot be read)"));
}

TEST_CASE_FIXTURE(AwsWorld, "a profile that cannot be followed says why") {
    environment["AWS_PROFILE"] = "p";
    const std::string keys_text = "aws_access_key_id=a\naws_secret_access_key=s3cret\n";
    const auto in_profile = [&](const std::string& text) {
        write("home/.aws/config", "[profile p]\n" + text);
        return shown();
    };

    CHECK(in_profile("role_arn=arn\n" + keys_text) ==
          "credentials: profile \"p\" gets its keys by role_arn, which is not supported here; give keys in "
          "the environment or in another profile (AWS_PROFILE)");
    CHECK(has(in_profile("sso_session=x\n"), "by sso_session, which is not supported"));
    CHECK(has(in_profile("credential_process=/bin/x\n"), "by credential_process, which is not supported"));
    CHECK(in_profile("credential_process=/bin/x\n" + keys_text) == "a s3cret");
    CHECK(in_profile("aws_secret_access_key=s3cret\n") ==
          "credentials: profile \"p\" has only one of aws_access_key_id and aws_secret_access_key");
}

TEST_CASE_FIXTURE(AwsWorld, "without any credentials the places that were looked at are named") {
    const auto none = keys();

    REQUIRE_FALSE(none);
    CHECK(none.error().code == ErrorCode::kAuth);
    CHECK(none.error().message ==
          "no credentials: looked at AWS_ACCESS_KEY_ID and LITESTREAM_ACCESS_KEY_ID (not set), "
          "AWS_WEB_IDENTITY_TOKEN_FILE (not set), profile \"default\" in " +
              directory.path("home/.aws/credentials") + " (no such file), profile \"default\" in " +
              directory.path("home/.aws/config") +
              " (no such file), the container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and "
              "AWS_CONTAINER_CREDENTIALS_FULL_URI not set), instance metadata (http://h:80: Connection "
              "refused)");
}

TEST_CASE_FIXTURE(AwsWorld, "a source that is set up and fails is the error; nobody is asked behind it") {
    in_container(*this).services.answer(std::string("GET ") + kContainer, 500, "");

    const auto failed = keys();

    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::kIo);
    CHECK(services.asked.size() == 1);
}

TEST_CASE_FIXTURE(AwsWorld, "keys that expire are renewed before, and only then") {
    const auto credentials = in_container(*this, "1970-01-01T01:00:00Z").credentials();
    REQUIRE(AwsWorld::shown(credentials->get()) == "first s t");
    services.answer(std::string("GET ") + kContainer, 200, lease_json("second", "1970-01-01T02:00:00Z"));

    now_ms = 3'299'999;
    CHECK(AwsWorld::shown(credentials->get()) == "first s t");
    now_ms = 3'300'000;
    CHECK(AwsWorld::shown(credentials->get()) == "second s t");
    CHECK(AwsWorld::shown(credentials->get()) == "second s t");
    CHECK(services.asked.size() == 2);
}

TEST_CASE_FIXTURE(AwsWorld, "while a renewal fails the old keys go on as long as they last") {
    const auto credentials = in_container(*this).credentials();
    REQUIRE(credentials->get());
    services.answers.clear();

    now_ms = 1'110'000;
    CHECK(AwsWorld::shown(credentials->get()) == "first s t");
    CHECK(AwsWorld::shown(credentials->get()) == "first s t");
    CHECK(services.asked.size() == 2);
    now_ms += 30'000;
    CHECK(AwsWorld::shown(credentials->get()) == "first s t");
    CHECK(services.asked.size() == 3);

    now_ms = 1'200'000;
    const auto expired = credentials->get();
    REQUIRE_FALSE(expired);
    CHECK(expired.error().code == ErrorCode::kIo);
}

TEST_CASE_FIXTURE(AwsWorld, "what the store calls expired is looked up again") {
    const auto credentials = in_container(*this, "1970-01-02T00:00:00Z").credentials();
    REQUIRE(credentials->get());
    services.answer(std::string("GET ") + kContainer, 200, lease_json("second", "1970-01-02T00:00:00Z"));

    CHECK(AwsWorld::shown(credentials->get()) == "first s t");
    CHECK(AwsWorld::shown(credentials->get(true)) == "second s t");
    CHECK(AwsWorld::shown(credentials->get()) == "second s t");
    services.answers.clear();
    CHECK_FALSE(credentials->get(true));
}

TEST_CASE_FIXTURE(AwsWorld, "keys of a file are read again when the store refuses them") {
    write("home/.aws/credentials", "[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
    const auto store = credentials();
    REQUIRE(store->get());
    write("home/.aws/credentials", "[default]\naws_access_key_id=c\naws_secret_access_key=d\n");

    CHECK(AwsWorld::shown(store->get()) == "a b");
    CHECK(AwsWorld::shown(store->get(true)) == "c d");
}

TEST_CASE_FIXTURE(AwsWorld, "whoever cancels ends it") {
    const auto credentials = in_container(*this).credentials();
    REQUIRE(credentials->get());
    credentials->cancel();
    now_ms = 1'110'000;

    const auto cancelled = credentials->get();

    REQUIRE_FALSE(cancelled);
    CHECK(cancelled.error().code == ErrorCode::kInterrupt);
}
