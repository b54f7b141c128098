// A scripted world for AwsCredentials: an environment, files, a clock, and services that answer what the test
// says. Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shared/net/aws_credentials.h"
#include "tests/support/temp_directory.h"

namespace litestream {

struct AskedRequest {
    std::string what;  // "GET http://..."
    std::map<std::string, std::string> headers;
    std::string body;
};

// Answers by "METHOD URL"; whoever is not in the script refuses the connection.
struct AwsServices {
    std::map<std::string, Result<HttpAnswer>> answers;
    std::vector<AskedRequest> asked;

    void answer(const std::string& what, unsigned status, const std::string& body) {
        answers.insert_or_assign(what, HttpAnswer{status, {}, body});
    }
};

class ScriptedTransport final : public HttpTransport {
  public:
    explicit ScriptedTransport(AwsServices& services) : services_(services) {}

    Result<HttpAnswer> send(const HttpRequestSpec& request, const Sink& on_body) override {
        const std::string what = request.method + " " + request.url;
        AskedRequest asked{what, {}, std::string(as_text(request.body))};
        for (const auto& [name, value] : request.headers) asked.headers[name] = value;
        services_.asked.push_back(asked);
        CHECK(request.total_timeout_ms > 0);
        CHECK_FALSE(request.signing.has_value());
        if (is_cancelled_) return Error{ErrorCode::kInterrupt, "interrupted"};
        const auto found = services_.answers.find(what);
        if (found == services_.answers.end()) return Error{ErrorCode::kIo, "http://h:80: Connection refused"};
        LITESTREAM_ASSIGN(HttpAnswer answer, found->second);
        if (answer.status / 100 != 2) return answer;
        for (std::size_t at = 0; at < answer.body.size(); at += 1000) {
            LITESTREAM_TRY(on_body(as_bytes(std::string_view(answer.body).substr(at, 1000))));
        }
        answer.body.clear();
        return answer;
    }
    void cancel() override { is_cancelled_ = true; }

  private:
    AwsServices& services_;
    bool is_cancelled_ = false;
};

struct AwsWorld {
    TempDirectory directory;
    std::map<std::string, std::string> environment = {{"HOME", directory.path("home")}};
    AwsServices services;
    std::int64_t now_ms = 1'000'000;

    std::unique_ptr<AwsCredentials> credentials() {
        return std::make_unique<AwsCredentials>(
            std::make_unique<ScriptedTransport>(services),
            [this](const char* name) -> const char* {
                const auto found = environment.find(name);
                return found == environment.end() ? nullptr : found->second.c_str();
            },
            [this] { return now_ms; });
    }
    Result<AwsKeys> keys() { return credentials()->get(); }
    // "ID SECRET TOKEN", or the error.
    std::string shown() { return shown(keys()); }
    static std::string shown(const Result<AwsKeys>& keys) {
        if (!keys) return keys.error().message;
        const std::string token = keys->session_token.empty() ? "" : " " + keys->session_token;
        return keys->access_key_id + " " + keys->secret_access_key + token;
    }
    std::string write(const std::string& name, const std::string& text) const {
        const std::string path = directory.path(name);
        REQUIRE(make_directories(parent_directory(path), 0700));
        REQUIRE(write_file_atomically(path, as_bytes(text), 0600));
        return path;
    }
};

// The JSON that containers and instances answer with.
inline std::string lease_json(const std::string& id, const std::string& expiration) {
    return R"({"Code":"Success","AccessKeyId":")" + id +
           R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + expiration + "\"}";
}

inline bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace litestream
