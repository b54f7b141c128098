// A stock host that loads the module, opens a database and forks. The child passes through: it reads and
// writes, says that it replicates nothing, and hangs nowhere; the parent goes on and has the child's commit
// too.
//
//   fork-host MODULE
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

constexpr unsigned kTimeoutSeconds = 30;

bool failed = false;

void check(const char* what, const std::string& seen, const std::string& part) {
    if (seen.find(part) != std::string::npos) return;
    std::printf("%s: expected '%s', got '%s'\n", what, part.c_str(), seen.c_str());
    failed = true;
}

sqlite3* open_database(const std::string& uri) {
    sqlite3* connection = nullptr;
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    if (sqlite3_open_v2(uri.c_str(), &connection, kFlags, nullptr) != SQLITE_OK) {
        std::printf("%s: %s\n", uri.c_str(), sqlite3_errmsg(connection));
        std::exit(1);
    }
    sqlite3_busy_timeout(connection, 10'000);
    return connection;
}

std::string value(sqlite3* connection, const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    std::string result = "NULL";
    int code = sqlite3_prepare_v2(connection, sql.c_str(), -1, &statement, nullptr);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_text(statement, 0) != nullptr) {
        result = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        result = std::string("error: ") + sqlite3_errmsg(connection);
    sqlite3_finalize(statement);
    return result;
}

void load(const char* module) {
    sqlite3* connection = open_database(":memory:");
    char* message = nullptr;
    sqlite3_enable_load_extension(connection, 1);
    if (sqlite3_load_extension(connection, module, nullptr, &message) != SQLITE_OK) {
        std::printf("%s: %s\n", module, message);
        std::exit(1);
    }
    sqlite3_close(connection);
}

// On a connection of its own, as SQLite demands of a child.
int child(const std::string& path) {
    ::alarm(kTimeoutSeconds);  // a child that hangs ends here
    sqlite3* connection = open_database("file:" + path + "?vfs=litestream");
    check("status of the child", value(connection, "SELECT litestream_status()"), "\"role\": \"none\"");
    check("why", value(connection, "SELECT json_extract(litestream_status(), '$.why')"),
          "this process was forked");
    check("sync of the child", value(connection, "SELECT litestream_sync()"),
          "error: litestream_sync: this process");
    check("databases of the child", value(connection, "SELECT count(*) FROM litestream_databases"), "0");
    check("commit of the child", value(connection, "INSERT INTO t VALUES(2)"), "NULL");
    sqlite3_close(connection);
    return failed ? 1 : 0;
}

void run(const std::string& directory) {
    const std::string path = directory + "/app.db";
    const std::string url = "'file://" + directory + "/backup'";
    sqlite3* parent = open_database("file:" + path + "?vfs=litestream");
    check("replicate", value(parent, "SELECT litestream_replicate(" + url + ")"), "file");
    value(parent, "CREATE TABLE t(a)");
    value(parent, "INSERT INTO t VALUES(1)");
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int status = child(path);
        std::fflush(stdout);
        ::_exit(status);
    }
    int status = -1;
    ::waitpid(pid, &status, 0);
    check("end of the child", std::to_string(status), "0");
    const std::string position = value(parent, "SELECT litestream_sync()");
    const std::string restored = directory + "/restored.db";
    check("restore", value(parent, "SELECT litestream_restore(" + url + ", '" + restored + "')"), position);
    sqlite3_close(parent);
    sqlite3* copy = open_database(restored);
    check("rows", value(copy, "SELECT group_concat(a) FROM t"), "1,2");
    sqlite3_close(copy);
}

}  // namespace

int main(int, char** arguments) {
    load(arguments[1]);
    std::string directory = std::filesystem::temp_directory_path() / "litestream-test-XXXXXX";
    if (::mkdtemp(directory.data()) == nullptr) return 1;
    run(directory);
    std::filesystem::remove_all(directory);
    return failed ? 1 : 0;
}
