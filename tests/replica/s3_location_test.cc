#include "shared/replica/s3_location.h"

#include <doctest/doctest.h>

#include <map>

#include "shared/replica/s3_open.h"

using namespace litestream;

namespace {

using Variables = std::map<std::string, std::string>;

Environment environment_of(const Variables& variables) {
    return [&variables](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    };
}

Result<S3Location> locate(const std::string& url, const Variables& variables = {}) {
    return parse_s3_location(*Url::parse(url), environment_of(variables));
}

// "BUCKET REGION BASE_URL", which says whether it is path-style.
std::string place(const std::string& url, const Variables& variables = {}) {
    const auto location = locate(url, variables);
    if (!location) return location.error().message;
    return location->bucket + " " + location->region + " " + location->base_url();
}

std::string refusal(const std::string& url, const Variables& variables = {}) {
    const auto location = locate(url, variables);
    REQUIRE_FALSE(location);
    CHECK(location.error().code == ErrorCode::kInput);
    return location.error().message;
}

std::string endpoint(const char* value) { return std::string("s3://b/p?endpoint=") + value; }

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a host that is nothing else is a bucket at AWS") {
    CHECK(place("s3://b/p") == "b us-east-1 https://b.s3.us-east-1.amazonaws.com");
    CHECK(place("s3://b/p?region=eu-west-1") == "b eu-west-1 https://b.s3.eu-west-1.amazonaws.com");
    CHECK(place("s3://b?region=cn-north-1") == "b cn-north-1 https://b.s3.cn-north-1.amazonaws.com.cn");
    CHECK(place("s3://b.s3.eu-west-1.amazonaws.com/p") == "b eu-west-1 https://b.s3.eu-west-1.amazonaws.com");
}

TEST_CASE("a bucket that does not fit into a host name is a part of the path") {
    CHECK(place("s3://my.bucket/p") == "my.bucket us-east-1 https://s3.us-east-1.amazonaws.com/my.bucket");
    CHECK(place("s3://My_Bucket/p") == "My_Bucket us-east-1 https://s3.us-east-1.amazonaws.com/My_Bucket");
}

TEST_CASE("hosts of known stores name bucket, region and endpoint") {
    CHECK(place("s3://b.localhost:9000/p") == "b us-east-1 http://localhost:9000/b");
    CHECK(place("s3://b.localhost/p") == "b us-east-1 http://localhost/b");
    CHECK(place("s3://b.s3.us-west-002.backblazeb2.com/p") ==
          "b us-west-002 https://s3.us-west-002.backblazeb2.com/b");
    CHECK(place("s3://b.s3.filebase.com/p") == "b us-east-1 https://s3.filebase.com/b");
    CHECK(place("s3://b.nyc3.digitaloceanspaces.com/p") == "b nyc3 https://nyc3.digitaloceanspaces.com/b");
    CHECK(place("s3://b.eu-1.linodeobjects.com/p") == "b eu-1 https://eu-1.linodeobjects.com/b");
    CHECK(place("s3://b.acc.r2.cloudflarestorage.com/p") == "b auto https://acc.r2.cloudflarestorage.com/b");
    CHECK(place("s3://b.acc.eu.r2.cloudflarestorage.com/p") ==
          "b auto https://acc.eu.r2.cloudflarestorage.com/b");
    CHECK(place("s3://b.fly.storage.tigris.dev/p") == "b auto https://b.fly.storage.tigris.dev");
    CHECK(place("s3://b.t3.storage.dev/p") == "b auto https://b.t3.storage.dev");
    CHECK(place("s3://b.storage.googleapis.com/p") == "b auto https://storage.googleapis.com/b");
}

TEST_CASE("the bucket in front of a known host may have dots") {
    CHECK(place("s3://a.b.c.localhost:1/p") == "a.b.c us-east-1 http://localhost:1/a.b.c");
    CHECK(place("s3://a.b.s3.r.backblazeb2.com/p") == "a.b r https://s3.r.backblazeb2.com/a.b");
}

TEST_CASE("a name that only looks like a known host is a bucket") {
    CHECK(locate("s3://notlocalhost/p")->bucket == "notlocalhost");
    CHECK(locate("s3://digitaloceanspaces.com/p")->bucket == "digitaloceanspaces.com");
    CHECK(locate("s3://b.s3.a.b.backblazeb2.com/p")->bucket == "b.s3.a.b.backblazeb2.com");
}

TEST_CASE("an endpoint may be named in the query, with or without its scheme") {
    CHECK(place(endpoint("https://minio.example:9000")) == "b us-east-1 https://minio.example:9000/b");
    CHECK(place(endpoint("https://minio.example/")) == "b us-east-1 https://minio.example/b");
    CHECK(place(endpoint("minio.example:9000")) == "b us-east-1 https://minio.example:9000/b");
    CHECK(place(endpoint("localhost:9000")) == "b us-east-1 http://localhost:9000/b");
    CHECK(place(endpoint("127.0.0.1:9000")) == "b us-east-1 http://127.0.0.1:9000/b");
    CHECK(place(endpoint("http://[::1]:9000")) == "b us-east-1 http://[::1]:9000/b");
    CHECK(place(endpoint("https://localhost:9000")) == "b us-east-1 https://localhost:9000/b");
}

TEST_CASE("an endpoint of a known store brings its region and its style along") {
    CHECK(place(endpoint("https://acc.r2.cloudflarestorage.com")) ==
          "b auto https://acc.r2.cloudflarestorage.com/b");
    CHECK(place(endpoint("https://t3.storage.dev")) == "b auto https://b.t3.storage.dev");
    CHECK(place(endpoint("https://s3.eu-west-1.amazonaws.com")) ==
          "b eu-west-1 https://b.s3.eu-west-1.amazonaws.com");
}

TEST_CASE("the style can be forced either way") {
    CHECK(locate("s3://b/p?force_path_style=true")->base_url() == "https://s3.us-east-1.amazonaws.com/b");
    CHECK(locate(endpoint("https://m&force_path_style=false"))->base_url() == "https://b.m");
}

TEST_CASE("the environment names endpoint and region, and the URL goes before it") {
    const Variables both = {{"LITESTREAM_ENDPOINT", "minio:9000"}, {"LITESTREAM_REGION", "r"}};
    const Variables aws = {{"AWS_ENDPOINT_URL", "https://x"},
                           {"AWS_ENDPOINT_URL_S3", "https://y"},
                           {"AWS_REGION", "r"},
                           {"AWS_DEFAULT_REGION", "q"}};

    CHECK(place("s3://b/p", both) == "b r https://minio:9000/b");
    CHECK(place("s3://b.s3.q.backblazeb2.com/p", both) == "b r https://minio:9000/b");
    CHECK(place(endpoint("https://m&region=s"), both) == "b s https://m/b");
    CHECK(place("s3://b/p", aws) == "b r https://y/b");
    CHECK(place("s3://b.s3.q.backblazeb2.com/p", aws) == "b q https://s3.q.backblazeb2.com/b");
    CHECK(place("s3://b/p", {{"AWS_DEFAULT_REGION", "q"}}) == "b q https://b.s3.q.amazonaws.com");
    CHECK(place("s3://b/p", {{"AWS_ENDPOINT_URL_S3", "https://fly.storage.tigris.dev"}}) ==
          "b auto https://b.fly.storage.tigris.dev");
}

TEST_CASE("plain http to another machine takes a word of consent") {
    CHECK(has(refusal(endpoint("http://minio:9000")), "allow_http=true"));
    CHECK(has(refusal("s3://b/p", {{"LITESTREAM_ENDPOINT", "http://10.0.0.1"}}), "allow_http=true"));
    CHECK(has(refusal(endpoint("http://minio:9000&allow_http=false")), "allow_http=true"));
    CHECK(has(refusal(endpoint("http://b.localhost.evil.example")), "allow_http=true"));
    CHECK(place(endpoint("http://minio:9000&allow_http=true")) == "b us-east-1 http://minio:9000/b");
    CHECK(place(endpoint("http://127.0.0.1:9000")) == "b us-east-1 http://127.0.0.1:9000/b");
}

TEST_CASE("the path becomes the prefix of every key") {
    CHECK(locate("s3://b")->prefix == "");
    CHECK(locate("s3://b/")->prefix == "");
    CHECK(locate("s3://b//a/./c//")->prefix == "a/c");
    CHECK(locate("s3://b/a%20b")->prefix == "a b");
    CHECK(has(refusal("s3://b/a/../c"), "\"..\""));
}

TEST_CASE("a place has one text, which leads there again") {
    const std::string typed = "s3://b//a/?region=r&allow_http=true&endpoint=http://m:1/";

    const auto location = locate(typed);

    REQUIRE(location);
    CHECK(location->url == "s3://b/a?endpoint=http://m:1&region=r&allow_http=true");
    CHECK(locate(location->url)->url == location->url);
    CHECK(locate("s3://b/a%20b/")->url == "s3://b/a%20b");
    CHECK(locate("s3://b/p", {{"LITESTREAM_REGION", "r"}})->url == "s3://b/p");
}

TEST_CASE("without a bucket nothing is guessed") {
    CHECK(refusal("s3:///p") == "s3:///p: no bucket; expected s3://BUCKET/PATH");
    CHECK(refusal("s3://localhost:9000/p") ==
          "s3://localhost:9000/p: no bucket; expected s3://BUCKET.localhost:9000/PATH");
    CHECK(has(refusal("s3://s3.r.backblazeb2.com/p"), "no bucket"));
    CHECK(refusal("s3://minio:9000/b") ==
          "s3://minio:9000/b: a bucket has no port; an endpoint that is not known by its name goes into the "
          "query: s3://BUCKET/PATH?endpoint=http://minio:9000");
    CHECK(has(refusal("s3://[::1]/b"), "no name of a bucket"));
    CHECK(has(refusal("s3://a%2Fb/p"), "no name of a bucket"));
    CHECK(has(refusal("s3://.b/p"), "no name of a bucket"));
}

TEST_CASE("what the query cannot mean is named") {
    CHECK(refusal("s3://b/p?regoin=x") ==
          "s3://b/p: unknown key \"regoin\" in the query; known for s3:// are endpoint, region, "
          "force_path_style, allow_http, skip_verify, parallelism and the options of litestream_replicate");
    CHECK(refusal("s3://b/p?region=x&region=y") == "s3://b/p: the query says \"region\" twice");
    CHECK(refusal("s3://b/p?allow_http=1") == "s3://b/p: \"allow_http\" must be true or false");
    CHECK(refusal("s3://b/p?skip_verify=yes") == "s3://b/p: \"skip_verify\" must be true or false");
    CHECK(refusal("s3://b/p?force_path_style=") == "s3://b/p: \"force_path_style\" must be true or false");
    for (const char* number : {"0", "65", "-1", "x", "1x", "99999999999"}) {
        CHECK(has(refusal(std::string("s3://b/p?parallelism=") + number), "a number from 1 to 64"));
    }
    CHECK(has(refusal("s3://b/p?region=a/b"), "\"region\" is no name of a region"));
    CHECK(has(refusal("s3://b/p?region=evil.example"), "\"region\" is no name of a region"));
    CHECK(locate("s3://b/p?parallelism=8&skip_verify=true")->parallelism == 8);
    CHECK(locate("s3://b/p?skip_verify=true")->skip_verify);
}

TEST_CASE("an endpoint that is none is refused without showing what it holds") {
    for (const char* wrong :
         {"ftp://m", "https://m/path", "https://m?q=1", "https://", "https://user:secret@m"}) {
        const std::string message = refusal(endpoint(wrong));
        CHECK(has(message, "\"endpoint\" is no endpoint; expected https://HOST[:PORT]"));
        CHECK_FALSE(has(message, "secret"));
    }
    CHECK(has(refusal("s3://b/p", {{"AWS_ENDPOINT_URL", "s3cret@"}}), "AWS_ENDPOINT_URL in the environment"));
}

TEST_CASE("a bucket that is elsewhere takes AWS's endpoint along, and no other") {
    auto aws = *locate("s3://b/p");
    auto other = *locate(endpoint("https://m"));

    aws.move_to("eu-west-1");
    other.move_to("eu-west-1");

    CHECK(aws.base_url() == "https://b.s3.eu-west-1.amazonaws.com");
    CHECK(other.base_url() == "https://m/b");
    CHECK(other.region == "eu-west-1");
    aws.move_to("evil.example/");
    CHECK(aws.region == "eu-west-1");
}

TEST_CASE("a client is opened without asking anybody, and shows the place with its options") {
    const auto client = open_s3_client(*Url::parse("s3://b.localhost:9/p/?region=r"));
    const auto refused = open_replica_client(*Url::parse("s3://b/p?nonsense=1"));

    REQUIRE(client);
    CHECK((*client)->url() == "s3://b.localhost:9/p?region=r");
    REQUIRE_FALSE(refused);
    CHECK(has(refused.error().message, "unknown key \"nonsense\""));
}
