#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "shared/net/http_client.h"
#include "tests/net/environment.h"
#include "tests/net/net_support.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

struct Free {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* session) const { SSL_free(session); }
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

struct Identity {
    Owned<EVP_PKEY> key;
    Owned<X509> certificate;
};

void add_extension(X509* certificate, int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    REQUIRE(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself. `days` below 0: expired.
Identity make_identity(const char* name, const Identity* issuer, const std::string& hosts, int days = 2) {
    Identity made{Owned<EVP_PKEY>(EVP_EC_gen("P-256")), Owned<X509>(X509_new())};
    X509* certificate = made.certificate.get();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == nullptr ? 1 : 2);
    X509_time_adj_ex(X509_getm_notBefore(certificate), -3, 0, nullptr);
    X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, nullptr);
    X509_set_pubkey(certificate, made.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509* signer = issuer == nullptr ? certificate : issuer->certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    if (issuer == nullptr) add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (!hosts.empty()) add_extension(certificate, NID_subject_alt_name, hosts);
    X509_sign(certificate, issuer == nullptr ? made.key.get() : issuer->key.get(), EVP_sha256());
    return made;
}

const Identity& authority() {
    static const Identity kAuthority = make_identity("test authority", nullptr, "");
    return kAuthority;
}

std::string write_authority(const TempDirectory& directory) {
    const Owned<BIO> bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), authority().certificate.get());
    std::array<char, 4096> text{};
    const int size = BIO_read(bio.get(), text.data(), static_cast<int>(text.size()));
    const std::string path = directory.path("authority.pem");
    REQUIRE(write_file_atomically(path, as_bytes({text.data(), static_cast<std::size_t>(size)}), 0600));
    return path;
}

void serve_tls(RawPeer& peer, const Identity& identity, int highest_version) {
    const Owned<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_max_proto_version(context.get(), highest_version);
    SSL_CTX_use_certificate(context.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
    const Owned<SSL> session(SSL_new(context.get()));
    SSL_set_fd(session.get(), peer.descriptor());
    if (SSL_accept(session.get()) != 1) return;
    std::array<char, 4096> request{};
    if (SSL_read(session.get(), request.data(), static_cast<int>(request.size())) <= 0) return;
    const std::string body(100'000, 'x');
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body;
    SSL_write(session.get(), answer.data(), static_cast<int>(answer.size()));
    SSL_shutdown(session.get());
    peer.read_all();
}

ScriptedServer::Script tls(const Identity& identity, int highest_version = 0) {
    return [&identity, highest_version](RawPeer& peer) { serve_tls(peer, identity, highest_version); };
}

// "whole", or the error.
std::string fetch(const HttpGet& request) {
    HttpClient client;
    const Status got = client.get(request);
    if (!got) return got.error().message;
    const std::string body = read_body(client);
    return body == std::string(100'000, 'x') ? "whole" : body;
}

std::string fetch_from(const Identity& identity, const std::string& host = "127.0.0.1", int version = 0) {
    const ScriptedServer server(tls(identity, version));
    HttpGet request = get_request(server.port(), "/", "https");
    request.url.host = host;
    return fetch(request);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a server whose certificate is trusted and fits is talked to") {
    const TempDirectory directory;
    const EnvironmentVariable trust("SSL_CERT_FILE", write_authority(directory));
    const Identity by_address = make_identity("server", &authority(), "IP:127.0.0.1");
    const Identity by_name = make_identity("server", &authority(), "DNS:localhost");

    CHECK(fetch_from(by_address) == "whole");
    CHECK(fetch_from(by_address, "127.0.0.1", TLS1_2_VERSION) == "whole");
    CHECK(fetch_from(by_name, "localhost") == "whole");
}

TEST_CASE("a certificate of an unknown authority is refused") {
    const Identity identity = make_identity("server", &authority(), "IP:127.0.0.1");

    const std::string error = fetch_from(identity);

    CHECK(error.find("cannot connect to https://127.0.0.1:") == 0);
    CHECK(has(error, "certificate is not trusted: unable to get local issuer certificate"));
}

TEST_CASE("a certificate for another host or another time is refused") {
    const TempDirectory directory;
    const EnvironmentVariable trust("SSL_CERT_FILE", write_authority(directory));
    const Identity other_name = make_identity("localhost", &authority(), "DNS:other.example,IP:127.0.0.2");
    const Identity expired = make_identity("server", &authority(), "IP:127.0.0.1", -1);

    CHECK(has(fetch_from(other_name), "IP address mismatch"));
    CHECK(has(fetch_from(other_name, "localhost"), "hostname mismatch"));
    CHECK(has(fetch_from(expired), "certificate has expired"));
}

TEST_CASE("a version of TLS that is too old is refused") {
    const TempDirectory directory;
    const EnvironmentVariable trust("SSL_CERT_FILE", write_authority(directory));
    const Identity identity = make_identity("server", &authority(), "IP:127.0.0.1");

    CHECK(has(fetch_from(identity, "127.0.0.1", TLS1_1_VERSION), "cannot connect to https://127.0.0.1:"));
}

TEST_CASE("a server that speaks no TLS is an error, and one that says nothing is given up in time") {
    const ScriptedServer plain([](RawPeer& peer) {
        peer.read_some();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const ScriptedServer silent([](RawPeer& peer) { peer.read_all(); });
    const ScriptedServer brief([](RawPeer& peer) { peer.read_some(); });
    HttpGet request = get_request(silent.port(), "/", "https");
    request.connect_timeout_ms = 50;

    CHECK(has(fetch(get_request(plain.port(), "/", "https")), "TLS: "));
    CHECK(has(fetch(request), "no answer in time"));
    CHECK(has(fetch(get_request(brief.port(), "/", "https")), "TLS: "));
}

TEST_CASE("TLS goes through a proxy's tunnel, and it is the far host's certificate that counts") {
    const TempDirectory directory;
    const EnvironmentVariable trust("SSL_CERT_FILE", write_authority(directory));
    const Identity identity = make_identity("server", &authority(), "DNS:db.example");
    const ScriptedServer proxy([&](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
        serve_tls(peer, identity, 0);
    });
    const EnvironmentVariable variable("https_proxy", "http://127.0.0.1:" + std::to_string(proxy.port()));
    HttpGet request = get_request(443, "/", "https");
    request.url.host = "db.example";

    CHECK(fetch(request) == "whole");
}
