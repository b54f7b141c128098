#include "shared/net/aws_metadata.h"

#include <unistd.h>

#include "tests/net/aws_support.h"

using namespace litestream;

namespace {

constexpr const char* kSts = "POST https://sts.amazonaws.com/";
constexpr const char* kMetadata = "http://169.254.169.254/latest/";
constexpr const char* kRoles = "meta-data/iam/security-credentials/";

std::string sts_answer(const std::string& expiration) {
    return "<?xml version=\"1.0\"?><AssumeRoleWithWebIdentityResponse "
           "xmlns=\"https://sts.amazonaws.com/doc/\">"
           "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>id</AccessKeyId>"
           "<SecretAccessKey>a&amp;b</SecretAccessKey><SessionToken>t</SessionToken><Expiration>" +
           expiration +
           "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></"
           "AssumeRoleWithWebIdentityResponse>";
}

struct WebWorld : AwsWorld {
    WebWorld() {
        environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = write("token", "head.bo+dy\n");
        environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
        environment["AWS_ROLE_SESSION_NAME"] = "me";
    }
};

struct ContainerWorld : AwsWorld {
    const std::string path = "/v2/s3cret-path";
    const std::string what = "GET http://169.254.170.2" + path;
    ContainerWorld() { environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = path; }
};

struct InstanceWorld : AwsWorld {
    const std::string token = std::string("PUT ") + kMetadata + "api/token";
    const std::string roles = std::string("GET ") + kMetadata + kRoles;
    InstanceWorld() {
        services.answer(token, 200, "imds-token");
        services.answer(roles, 200, "my-role");
        services.answer(roles + "my-role", 200, lease_json("id", "1970-01-01T06:00:00Z"));
    }
};

}  // namespace

TEST_CASE_FIXTURE(WebWorld, "a web identity becomes a role at STS") {
    services.answer(kSts, 200, sts_answer("1970-01-01T01:00:00Z"));

    CHECK(shown() == "id a&b t");
    REQUIRE(services.asked.size() == 1);
    CHECK(services.asked[0].body ==
          "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
          "&RoleSessionName=me&WebIdentityToken=head.bo%2Bdy");
}

TEST_CASE_FIXTURE(WebWorld, "a new token is read for each renewal, also through a symbolic link") {
    services.answer(kSts, 200, sts_answer("1970-01-01T01:00:00Z"));
    const std::string link = directory.path("link");
    REQUIRE(::symlink(directory.path("token").c_str(), link.c_str()) == 0);
    environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = link;
    const auto sts = credentials();
    REQUIRE(sts->get());
    write("token", "second");
    now_ms = 3'400'000;

    REQUIRE(sts->get());

    CHECK(has(services.asked[1].body, "WebIdentityToken=second"));
}

TEST_CASE_FIXTURE(WebWorld, "STS is asked in the region, or where the environment says, if that is safe") {
    const auto endpoint = [&] {
        services.asked.clear();
        (void)keys();
        return services.asked.empty() ? "none: " + shown() : services.asked[0].what;
    };

    CHECK(endpoint() == kSts);
    environment["AWS_DEFAULT_REGION"] = "eu-west-1";
    CHECK(endpoint() == "POST https://sts.eu-west-1.amazonaws.com/");
    environment["AWS_REGION"] = "cn-north-1";
    CHECK(endpoint() == "POST https://sts.cn-north-1.amazonaws.com.cn/");
    environment["AWS_REGION"] = "auto";
    CHECK(endpoint() == kSts);
    environment["AWS_REGION"] = "evil.example/";
    CHECK(endpoint() == "none: credentials: AWS_REGION is no name of a region, such as eu-central-1");
    environment["AWS_ENDPOINT_URL_STS"] = "https://minio:9000/";
    CHECK(endpoint() == "POST https://minio:9000/");
    environment["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:9000";
    CHECK(endpoint() == "POST http://127.0.0.1:9000/");
    environment["AWS_ENDPOINT_URL_STS"] = "http://minio:9000";
    CHECK(
        endpoint() ==
        "none: credentials: AWS_ENDPOINT_URL_STS must be https, or http to a loopback or link-local address");
}

TEST_CASE_FIXTURE(WebWorld, "what STS refuses is said by its code, without the token") {
    services.answer(kSts, 400,
                    "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>head.bo+dy is "
                    "old</Message></Error></ErrorResponse>");

    const auto refused = keys();

    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kAuth);
    CHECK(refused.error().message ==
          "credentials: STS, asked for a web identity: it answered 400 ExpiredTokenException");
    services.answer(kSts, 403, "<ErrorResponse><Error><Code>head.bo+dy</Code></Error></ErrorResponse>");
    CHECK(shown() == "credentials: STS, asked for a web identity: it answered 403");
    services.answer(kSts, 503, "<");
    CHECK(keys().error().code == ErrorCode::kIo);
}

TEST_CASE_FIXTURE(WebWorld, "an answer of STS that is none is an error, and so is half a setting") {
    for (const char* text : {"", "<", "{}", "<AssumeRoleWithWebIdentityResponse/>", "<a><a><a><a><a>"}) {
        services.answer(kSts, 200, text);
        CHECK(has(shown(), "its answer has no valid "));
    }
    services.answer(kSts, 200, sts_answer("s3cret"));
    CHECK(shown() == "credentials: STS, asked for a web identity: its answer has no valid Expiration");
    environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = write("empty", " \n");
    CHECK(has(shown(), "is empty"));
    environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = directory.path("missing");
    CHECK(has(shown(), "No such file"));
    environment.erase("AWS_ROLE_ARN");
    CHECK(shown() == "credentials: AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
}

TEST_CASE_FIXTURE(ContainerWorld, "a container has an endpoint for its keys") {
    services.answer(what, 200, lease_json("id", "1970-01-01T01:00:00Z"));

    CHECK(shown() == "id s t");
    CHECK(services.asked[0].headers.empty());
}

TEST_CASE_FIXTURE(AwsWorld, "a container's endpoint may be any that is https or near") {
    const auto is_asked = [&](const char* url) {
        environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
        services.asked.clear();
        (void)keys();
        return !services.asked.empty() && services.asked[0].what == std::string("GET ") + url;
    };

    for (const char* good : {"https://example.com/x", "http://localhost:51678/x", "http://127.0.0.1/x",
                             "http://[::1]/x", "http://169.254.170.23/v1/credentials",
                             "http://[fd00:ec2::23]/v1/credentials", "http://[fe80::1]/x"}) {
        CHECK_MESSAGE(is_asked(good), good);
    }
    for (const char* bad :
         {"http://example.com/x", "http://10.0.0.1/x", "http://169.254.169.254.evil.example/x",
          "http://169.254.170.2@evil.example/x", "http://localhost.evil.example/x", "ftp://localhost/",
          "http:///x", "/x", "http://[fd00::1]/x", "file:///etc/passwd"}) {
        CHECK_MESSAGE(!is_asked(bad), bad);
        CHECK(services.asked.empty());
    }
}

TEST_CASE_FIXTURE(ContainerWorld, "the container's token goes along, from a file before the environment") {
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Basic abc";
    (void)keys();
    CHECK(services.asked[0].headers.at("Authorization") == "Basic abc");

    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = write("token", "from-file\n");
    (void)keys();
    CHECK(services.asked[1].headers.at("Authorization") == "from-file");

    write("token", "s3cret\r\nX-Evil: 1");
    const std::string message = shown();
    CHECK(services.asked.size() == 2);
    CHECK(message == "credentials: the container's authorization token is not one line of ASCII");
}

TEST_CASE_FIXTURE(ContainerWorld, "hostile answers become errors that show nothing of them") {
    const auto refusal = [&](unsigned status, const std::string& body) {
        services.answer(what, status, body);
        const std::string message = shown();
        CHECK(message.starts_with(
            "credentials: the container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI): "));
        CHECK_FALSE(has(message, "s3cret"));
        return message;
    };

    CHECK(has(refusal(200, std::string(70'000, 's')), "larger than 64 KiB"));
    CHECK(has(refusal(200, "<html>s3cret"), "no valid JSON"));
    CHECK(has(refusal(200, "[\"s3cret\"]"), "no valid JSON"));
    CHECK(has(refusal(200, std::string(10'000, '[')), "no valid JSON"));
    CHECK(has(refusal(200, R"({"AccessKeyId":"s3cret"})"), "no valid SecretAccessKey"));
    CHECK(has(refusal(200, R"({"AccessKeyId":7,"SecretAccessKey":"s3cret"})"), "no valid AccessKeyId"));
    CHECK(has(refusal(200, lease_json("id", "s3cret")), "no valid Expiration"));
    CHECK(has(refusal(200, R"({"AccessKeyId":"a\nb","SecretAccessKey":"s3cret"})"), "invisible character"));
    CHECK(has(refusal(200, R"({"Code":"s3cret"})"), "no Success"));
    CHECK(has(refusal(302, "s3cret"), "it answered 302; redirects are refused"));
    CHECK(has(refusal(404, "s3cret"), "it answered 404"));
    environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "@evil.example/";
    CHECK(shown() == "credentials: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with '/'");
}

TEST_CASE_FIXTURE(InstanceWorld, "an instance's role is found with a token of its own") {
    CHECK(shown() == "id s t");
    REQUIRE(services.asked.size() == 3);
    CHECK(services.asked[0].headers.contains("X-aws-ec2-metadata-token-ttl-seconds"));
    CHECK(services.asked[1].headers.at("X-aws-ec2-metadata-token") == "imds-token");
    CHECK(services.asked[2].headers.at("X-aws-ec2-metadata-token") == "imds-token");
}

TEST_CASE_FIXTURE(InstanceWorld, "who is no such service is passed over, which the error says") {
    services.answer(roles, 404, "");
    CHECK(has(shown(), "instance metadata (the instance has no role)"));
    services.answer(token, 405, "");
    CHECK(has(shown(), "instance metadata (it answered 405)"));
    services.answer(token, 200, "two\r\nlines");
    CHECK(has(shown(), "instance metadata (its answer has no valid token)"));
    CHECK(services.asked.back().what == token);
    environment["AWS_EC2_METADATA_DISABLED"] = "True";
    services.asked.clear();
    CHECK(has(shown(), "instance metadata (AWS_EC2_METADATA_DISABLED)"));
    CHECK(services.asked.empty());
}

TEST_CASE_FIXTURE(InstanceWorld, "an instance's service that fails in the middle may heal") {
    services.answer(roles + "my-role", 503, "");

    const auto failed = keys();

    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::kIo);
    CHECK(failed.error().message == "credentials: instance metadata: it answered 503");
    services.answer(roles, 200, "../evil\n");
    CHECK_FALSE(keys());
    CHECK(services.asked.back().what == roles + "..%2Fevil");
    services.answer(roles, 200, "\n");
    CHECK(has(shown(), "no valid name of a role"));
}

TEST_CASE_FIXTURE(AwsWorld, "the instance's service is asked where the environment says, if that is near") {
    const auto endpoint = [&] {
        services.asked.clear();
        (void)keys();
        return services.asked.empty() ? "none" : services.asked[0].what;
    };

    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv6";
    CHECK(endpoint() == "PUT http://[fd00:ec2::254]/latest/api/token");
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://localhost:1338/";
    CHECK(endpoint() == "PUT http://localhost:1338/latest/api/token");
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://evil.example";
    CHECK(endpoint() == "none");
}
