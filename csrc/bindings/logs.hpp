// The logs that Python gives a manager: any object with last() and append(), and MemoryLog, which is C++ all through.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "bindings/errors.hpp"
#include "grantwheel/log.hpp"
#include "host/home.hpp"

namespace grantwheel::bindings {

// KeptGroups in memory, one after the other in large blocks. Thread-safe.
class KeptGroups {
public:
    using Bytes = std::span<const std::byte>;

    [[nodiscard]] std::uint64_t last() const;
    // conflict unless `after` is the last; not_appended when there is no memory.
    Appended append(std::uint64_t after, Bytes group) noexcept;
    // The group at a position from 1 on, which stays where it is; null data when there is none.
    [[nodiscard]] Bytes at(std::uint64_t position) const;
    [[nodiscard]] bool is_here() const noexcept { return home_.is_here(); }

private:
    struct Block {
        std::unique_ptr<std::byte[]> bytes;
        std::size_t size;
        std::size_t capacity;
    };
    static constexpr std::size_t block_bytes = std::size_t{1} << 20;

    // The last one, which has room for so many.
    [[nodiscard]] Block& block_for(std::size_t size);

    Home home_;
    mutable std::mutex mutex_;
    std::deque<Block> blocks_;
    std::deque<Bytes> groups_;
};

// When what changes a manager gets into its log: before it is carried out, or soon after.
enum class Durability { commit, batch };
// ValueError for any other word.
[[nodiscard]] Durability to_durability(const py::object& word);

// What a manager knows of the log that Python gave it. Its methods want the GIL, those of the gate's log do not.
class GivenLog {
public:
    // TypeError for what has no last() and append(). A MemoryLog itself is written without Python.
    [[nodiscard]] static std::unique_ptr<GivenLog> of(py::object log);
    virtual ~GivenLog() = default;
    GivenLog(const GivenLog&) = delete;
    GivenLog& operator=(const GivenLog&) = delete;

    // For the gate, which must not outlive this, unless it is left alone for ever.
    [[nodiscard]] virtual Log& log() noexcept = 0;
    // Whether it runs Python, which belongs to a thread of its own.
    [[nodiscard]] virtual bool is_python() const noexcept { return false; }
    // What it raised last, while that is the reason for something.
    [[nodiscard]] virtual py::object failure() const { return {}; }
    // Logs that it takes no changes any more, the first time.
    void tell_end(const char* why) noexcept;
    virtual int traverse(visitproc, void*) const { return 0; }
    // Lets go of what is Python's. Pre: the gate is closed.
    virtual void forget() {}

protected:
    GivenLog() = default;

private:
    std::atomic<bool> is_end_told_{false};
};

void bind_logs(py::module_& module);

}  // namespace grantwheel::bindings
