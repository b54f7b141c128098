#include "shared/net/aws_profile.h"

#include <doctest/doctest.h>

using namespace litestream;

namespace {

std::string value(const char* text, const char* key, const char* name = "default",
                  AwsFile file = AwsFile::kCredentials) {
    const auto profile = parse_aws_profile(text, file, name);
    if (!profile) return "(no profile)";
    const auto found = profile->find(key);
    return found == profile->end() ? "(not set)" : found->second;
}

}  // namespace

TEST_CASE("a profile has the settings behind its header, up to the next one") {
    const char* text = "[default]\na = 1\n\n[other]\nA=2\nb =\n[third]\na = 3\n";

    CHECK(value(text, "a") == "1");
    CHECK(value(text, "a", "other") == "2");
    CHECK(value(text, "b", "other") == "");
    CHECK(value(text, "b") == "(not set)");
    CHECK(value(text, "a", "fourth") == "(no profile)");
    CHECK(value("", "a") == "(no profile)");
}

TEST_CASE("in the config file a profile is called so, unless it is the default one") {
    const char* text = "[default]\na = 1\n[profile  x ]\na = 2\n[y]\na = 3\n[profile \"two words\"]\na = 4\n";

    CHECK(value(text, "a", "default", AwsFile::kConfig) == "1");
    CHECK(value(text, "a", "x", AwsFile::kConfig) == "2");
    CHECK(value(text, "a", "y", AwsFile::kConfig) == "(no profile)");
    CHECK(value(text, "a", "two words", AwsFile::kConfig) == "4");
    CHECK(value(text, "a", "x") == "(no profile)");
    CHECK(value("[profile default]\na=1", "a", "default", AwsFile::kConfig) == "1");
    CHECK(value("[sso-session x]\na=1", "a", "x", AwsFile::kConfig) == "(no profile)");
}

TEST_CASE("comments, blanks and ends of lines of another system are no part of a value") {
    CHECK(value("# [default]\n;x\n[default] # the one\n  a\t=  1 2 # 3\r\n", "a") == "1 2");
    CHECK(value("[default]\na = 1#2;3", "a") == "1#2;3");
    CHECK(value("[default]\na = x=y==", "a") == "x=y==");
    CHECK(value("[default]\na = # nothing", "a") == "");
}

TEST_CASE("what is nested below a setting is not taken for one") {
    const char* text = "[default]\ns3 =\n  a = nested\n  b = nested\na = 1\n";

    CHECK(value(text, "a") == "1");
    CHECK(value(text, "b") == "(not set)");
}

TEST_CASE("of two that say the same the last one counts, also across headers") {
    CHECK(value("[default]\na = 1\na = 2\n[x]\n[default]\nb = 3\n", "a") == "2");
    CHECK(value("[default]\na = 1\na = 2\n[x]\n[default]\nb = 3\n", "b") == "3");
}

TEST_CASE("a header that is not finished does not hand its settings to the one before") {
    CHECK(value("[default]\na = 1\n[prod\na = 2\n", "a") == "1");
    CHECK(value("[default]\nnonsense\n= 5\na = 1", "a") == "1");
}
