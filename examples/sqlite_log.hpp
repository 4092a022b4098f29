// The journal file of the Python package (grantwheel.journal.sqlite), for a gate in C++: a row for each group, and a snapshot
// beside, which is read only. One call at a time; the gate sees to that. What is wrong is said on stderr.
//
// SQLite takes its log up to the first byte that does not fit, and overwrites the rest; the Python package looks at it before.
// Here only those groups are missed that were there when the journal was opened or closed last: after a crash of the machine,
// ask `grantwheel journal verify` first.
#pragma once

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>
#include <grantwheel/log.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

static_assert(std::endian::native == std::endian::little, "the numbers of a snapshot file are read as they lie");

using Bytes = std::span<const std::byte>;

// The CRC-32 of zlib, which goes on from that of what came before.
inline std::uint32_t crc32(Bytes bytes, std::uint32_t before) {
    static constexpr auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            made[i] = i;
            for (int bit = 0; bit < 8; ++bit) made[i] = made[i] >> 1 ^ (made[i] & 1) * 0xEDB88320u;
        }
        return made;
    }();
    std::uint32_t crc = ~before;
    for (const std::byte byte : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<std::uint32_t>(byte)) & 0xFF];
    return ~crc;
}

// A statement, from its preparation to its end. Numbers and bytes are bound in their order.
class Statement {
public:
    Statement(sqlite3* database, const char* sql) { sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr); }
    ~Statement() { end(); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::uint64_t number) {
        sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(number));
        return *this;
    }
    Statement& bind(Bytes bytes) {
        sqlite3_bind_blob64(statement_, ++bound_, bytes.empty() ? "" : static_cast<const void*>(bytes.data()),
                            bytes.size(), SQLITE_STATIC);
        return *this;
    }
    bool next() { return sqlite3_step(statement_) == SQLITE_ROW; }
    // Of one without rows.
    int run() {
        const int code = sqlite3_step(statement_);
        return code == SQLITE_DONE ? SQLITE_OK : code;
    }
    void end() { sqlite3_finalize(std::exchange(statement_, nullptr)); }
    std::uint64_t number(int column) { return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column)); }
    Bytes bytes(int column) {
        const auto* const first = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
        return {first, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }

private:
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

class SqliteLog final : public grantwheel::Log {
public:
    // Null when somebody else writes it, when it is something else, or when groups are missing.
    static std::unique_ptr<SqliteLog> open(const std::string& path) {
        std::unique_ptr<SqliteLog> log(new SqliteLog(path));
        if (lockf(log->lock_, F_TLOCK, 0) != 0) return log->fail("another one writes it"), nullptr;
        return log->read_snapshot() && log->connect() ? std::move(log) : nullptr;
    }
    ~SqliteLog() override {
        Statement note(database_, "UPDATE writer SET flushed = ? WHERE token = ?");
        note.bind(groups_).bind(token()).run();
        note.end();
        sqlite3_close(database_);
        close(lock_);
    }

    // How many groups there are; and the snapshot, which stands for the first ones.
    [[nodiscard]] std::uint64_t groups() const { return groups_; }
    [[nodiscard]] Bytes snapshot() const { return snapshot_; }
    // Calls `take(group)` for each behind the snapshot. False when it does not take one, or one is not what it was.
    template <typename Take>
    bool read(Take&& take) {
        Statement rows(database_, "SELECT sequence, crc, bytes FROM groups WHERE sequence > ? ORDER BY sequence");
        std::uint64_t last = covered_;
        for (rows.bind(last); rows.next(); ++last) {
            const bool is_sound = rows.number(0) == last + 1 && rows.number(1) == crc_of(last + 1, rows.bytes(2));
            if (!is_sound || !take(rows.bytes(2))) return fail("group " + std::to_string(last + 1) + " is damaged");
        }
        return last == groups_ || fail("groups are missing");
    }

    grantwheel::Appended append(std::uint64_t after, Bytes group) noexcept override {
        using enum grantwheel::Appended;
        if (after != groups_) return conflict;
        int code = run("BEGIN IMMEDIATE");
        if (code == SQLITE_OK) {
            Statement insert(database_,
                             "INSERT INTO groups(sequence, crc, bytes) SELECT ?, ?, ? FROM writer WHERE token = ?");
            code = insert.bind(after + 1).bind(crc_of(after + 1, group)).bind(group).bind(token()).run();
            if (code == SQLITE_OK && sqlite3_changes(database_) == 0) code = SQLITE_CONSTRAINT;  // the token is another
        }
        if (code == SQLITE_OK) {
            if (run("COMMIT") != SQLITE_OK) return uncertain;
            ++groups_;
            return appended;
        }
        if (sqlite3_get_autocommit(database_) == 0 && run("ROLLBACK") != SQLITE_OK) return uncertain;
        return code == SQLITE_CONSTRAINT ? conflict : not_appended;
    }

    // After a failed sync the kernel may show what is not on the disk: what is there is written and synced once more.
    grantwheel::Position last() noexcept override {
        const bool is_known = connect();
        return {is_known, groups_};
    }

private:
    explicit SqliteLog(std::string path)
        : path_(std::move(path)), lock_(::open((path_ + "-lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
        std::random_device random;
        for (unsigned& word : token_) word = random();
    }

    bool fail(const std::string& what) const {
        return std::fprintf(stderr, "%s: %s\n", path_.c_str(), what.c_str()) < 0;
    }
    int run(const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr); }
    [[nodiscard]] Bytes token() const { return std::as_bytes(std::span(token_)); }
    static std::uint32_t crc_of(std::uint64_t position, Bytes group) {
        return crc32(group, static_cast<std::uint32_t>(position));
    }

    bool connect() {
        sqlite3_close(std::exchange(database_, nullptr));
        if (std::filesystem::exists(path_ + "-repaired")) return fail("a repair was interrupted: open it in Python");
        close(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));  // the other files get the same mode
        const int code = sqlite3_open_v2(path_.c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr);
        if (code != SQLITE_OK) return fail(sqlite3_errstr(code));
        sqlite3_busy_timeout(database_, 1000);
        keep_log(true);  // as it is, for the Python package to look at, unless all is well
        const auto is_taken = [](Bytes) { return true; };
        const bool is_sound = has_form() && find_last() && read(is_taken);  // before any of it gets into the file
        keep_log(!is_sound);
        return is_sound && need(run(prepare) == SQLITE_OK) && sync_folder() && take_over();
    }
    void keep_log(bool keep) { sqlite3_db_config(database_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr); }
    bool need(bool is_done) const { return is_done || fail(sqlite3_errmsg(database_)); }

    // A new file gets the form that journals have.
    bool has_form() {
        Statement form(database_,
                       "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) "
                       "FROM pragma_application_id, pragma_user_version");
        if (!need(form.next())) return false;
        const bool is_journal = form.number(0) == 0x47574A4C && form.number(1) == 1;
        const bool is_new = form.number(0) == 0 && form.number(2) == 0;
        form.end();
        return is_new ? need(run(new_file) == SQLITE_OK) : is_journal || fail("it is no journal of version 1");
    }
    // What was on record for sure has to be there.
    bool find_last() {
        Statement last(database_,
                       "SELECT max(ifnull(max(sequence), 0), ?), (SELECT max(flushed) FROM writer) FROM groups");
        if (!need(last.bind(covered_).next())) return false;
        groups_ = last.number(0);
        return last.number(1) <= groups_ || fail("its last groups are missing");
    }
    [[nodiscard]] bool sync_folder() const {
        const std::string folder = std::filesystem::absolute(path_).parent_path();
        const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool is_synced = fsync(descriptor) == 0;
        close(descriptor);
        return is_synced || fail("its folder can't be synced");
    }
    // From now on nobody else can append.
    bool take_over() {
        Statement writer(
            database_, "INSERT OR REPLACE INTO writer(id, token, pid, flushed, host) VALUES (1, ?, ?, ?, 'localhost')");
        writer.bind(token()).bind(static_cast<std::uint64_t>(getpid())).bind(groups_);
        return need(writer.run() == SQLITE_OK);
    }

    // A head, then pieces, each behind its length and its checksum, which goes on over the whole file.
    bool read_snapshot() {
        std::ifstream file(path_ + "-snapshot", std::ios::binary);
        if (!file.is_open()) return !std::filesystem::exists(path_ + "-snapshot") || fail("its snapshot can't be read");
        const std::string content{std::istreambuf_iterator<char>(file), {}};
        const Bytes all = std::as_bytes(std::span(content));
        const auto number = [&](std::size_t at, auto value) {
            return std::memcpy(&value, &all[at], sizeof value), value;
        };
        if (all.size() < 20 || !content.starts_with(std::string("GWSNAP\1\0", 8))) return fail("its snapshot is none");
        std::uint32_t crc = crc32(all.first(16), 0);
        bool is_sound = crc == number(16, crc);
        covered_ = number(8, covered_);
        for (std::size_t at = 20; is_sound && all.size() - at >= 8;) {
            const std::uint32_t length = number(at, crc);
            const Bytes piece = all.subspan(at + 8).first(std::min<std::size_t>(length, all.size() - at - 8));
            crc = crc32(piece, crc32(all.subspan(at, 4), crc));
            is_sound = crc == number(at + 4, crc);
            at += 8 + piece.size();
            if (is_sound && length == 0 && at == all.size()) return true;
            snapshot_.insert(snapshot_.end(), piece.begin(), piece.end());
        }
        return fail("its snapshot is damaged");
    }

    static constexpr const char* new_file =
        "PRAGMA page_size=4096; BEGIN;"
        "CREATE TABLE groups(sequence INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bytes BLOB NOT NULL);"
        "CREATE TABLE writer(id INTEGER PRIMARY KEY CHECK (id = 1), token BLOB NOT NULL, pid INTEGER NOT NULL, "
        "host TEXT NOT NULL, flushed INTEGER NOT NULL);"
        "PRAGMA application_id=0x47574A4C; PRAGMA user_version=1; COMMIT; PRAGMA journal_mode=WAL";
    static constexpr const char* prepare =
        "PRAGMA cache_spill=OFF; PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)";

    std::string path_;
    int lock_;
    std::array<unsigned, 4> token_{};
    std::vector<std::byte> snapshot_;
    std::uint64_t covered_ = 0;
    std::uint64_t groups_ = 0;
    sqlite3* database_ = nullptr;
};
