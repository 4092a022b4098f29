// The whole state of an engine: as bytes, as a hash, from bytes, and whether its counters agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "grantwheel/snapshot.hpp"
#include "support.hpp"

namespace grantwheel::test {

// Everything of an engine as bytes.
inline std::vector<std::byte> everything_of(const Engine& engine) {
    const auto writer = SnapshotWriter::create(engine);
    REQUIRE_QUIETLY(writer != nullptr);
    std::vector<std::byte> all;
    std::vector<std::byte> out(max_section_bytes);
    for (SectionWritten written{.more = true}; written.more;) {
        written = writer->write(out);
        REQUIRE_EQUAL_QUIETLY(written.status, Status::ok);
        all.insert(all.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(written.size));
    }
    return all;
}

inline std::uint64_t state_of(const Engine& engine) {
    std::uint64_t hash = 0;
    REQUIRE_EQUAL_QUIETLY(state_hash(engine, hash), Status::ok);
    return hash;
}

inline std::unique_ptr<Engine> loaded(std::span<const std::byte> bytes,
                                      const Limits& limits = {.event_capacity = 256}) {
    const auto reader = SnapshotReader::create(limits);
    REQUIRE_QUIETLY(reader != nullptr);
    for (SectionRead read; !read.done; bytes = bytes.subspan(read.size)) {
        read = reader->read(bytes);
        if (read.status != Status::ok || read.size == 0) return nullptr;
    }
    return reader->take();
}

// What was granted is held or has ended.
inline void check_balance(Host& host) {
    const Stats stats = host.stats(host->now());
    std::uint64_t held = 0;
    for (int type = 0; type < type_count; ++type) held += stats.app_grants[type] + stats.process_grants[type];
    for (const std::uint64_t ended : stats.ended) held += ended;
    BOOST_CHECK_EQUAL(held, stats.granted);
}

inline Limits with_limits(std::uint32_t records, std::uint32_t strings, std::uint32_t events) {
    return {.max_records = records, .max_strings = strings, .event_capacity = events};
}

}  // namespace grantwheel::test
