// Columns and results of exactly their length, and values of the C ABI beside those of the C++ interface.
#pragma once

#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "grantwheel/grantwheel.h"
#include "words.hpp"

namespace grantwheel::fuzz {

inline void require(bool is_so, const char* what) {
    if (!is_so) throw std::runtime_error(std::string(what) + " is not as it must be");
}

// What a call that is `valid` answers is `status`; any other is refused.
inline void expect(const char* name, gw_status found, bool valid, Status status) {
    const gw_status expected = valid ? static_cast<gw_status>(status) : GW_ARGUMENT_INVALID;
    if (found == expected) return;
    throw std::runtime_error(std::string(name) + ": " + gw_status_name(found) + ", and not " +
                             gw_status_name(expected));
}

// An array without sizes in front; now and then null.
template <typename Value>
class Plain {
public:
    Plain(Bytes& bytes, std::size_t count)
        : count_(count), is_null_(bytes.below(32) == 31), memory_(count * sizeof(Value)) {}

    [[nodiscard]] Value* get() const { return is_null_ ? nullptr : reinterpret_cast<Value*>(memory_.at(0)); }
    [[nodiscard]] bool is_there() const { return !is_null_ || count_ == 0; }
    [[nodiscard]] Value operator[](std::size_t i) const { return get()[i]; }

protected:
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] bool are_filling(std::size_t from, std::size_t to) const {
        return memory_.is_filling(from * sizeof(Value), to * sizeof(Value));
    }

private:
    std::size_t count_;
    bool is_null_;
    Memory memory_;
};

class Column : public Plain<std::uint32_t> {
public:
    // Numbers of less than `most`, or now and then any.
    Column(Bytes& bytes, std::size_t count, std::uint32_t most) : Plain(bytes, count) {
        for (std::size_t i = 0; get() != nullptr && i < count; ++i) {
            const auto number = static_cast<std::uint32_t>(bytes.number(2));
            get()[i] = number < 0xF000 ? number % most : ~number;
        }
    }
};

class Results : public Plain<gw_result> {
public:
    using Plain::Plain;
    // Whether these, and no more, have been written.
    [[nodiscard]] bool are(const std::vector<gw_result>& expected) const {
        for (std::size_t i = 0; i < expected.size(); ++i) {
            if ((*this)[i].status != expected[i].status || (*this)[i].mask != expected[i].mask) return false;
        }
        return are_filling(expected.size(), count());
    }
};

class Owners : public Plain<gw_owner> {
public:
    using Plain::Plain;
    // Whether these, and no more, have been written: the host has put `last` into the last place, when it is not null.
    [[nodiscard]] bool are(const std::vector<Owner>& expected, const gw_owner* last = nullptr) const {
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const bool is_app = expected[i].kind == OwnerKind::app;
            if (!is(i, {is_app ? GW_OWNER_APP : GW_OWNER_PROCESS, expected[i].key})) return false;
        }
        if (last == nullptr || expected.size() == count()) return are_filling(expected.size(), count());
        return are_filling(expected.size(), count() - 1) && is(count() - 1, *last);
    }

private:
    [[nodiscard]] bool is(std::size_t i, gw_owner expected) const {
        return (*this)[i].kind == expected.kind && (*this)[i].key == expected.key;
    }
};

inline std::string_view view_of(gw_text text) { return {text.data, text.size}; }

inline bool are_same(const gw_event& found, const Event& expected) {
    return found.kind == static_cast<int>(expected.kind) && found.sequence == expected.sequence &&
           found.time == expected.time && found.uid == expected.uid && found.pid == expected.pid &&
           found.mask == expected.mask && found.cause == static_cast<int>(expected.cause) &&
           found.cpu_level == expected.cpu_level && view_of(found.bundle) == expected.bundle;
}

inline bool are_same(const gw_stats& found, const Stats& expected) {
    return found.app_records == expected.app_records && found.process_records == expected.process_records &&
           std::equal(std::begin(found.app_grants), std::end(found.app_grants), expected.app_grants) &&
           std::equal(std::begin(found.process_grants), std::end(found.process_grants), expected.process_grants) &&
           found.granted == expected.granted && found.renewed == expected.renewed &&
           std::equal(std::begin(found.ended), std::end(found.ended), expected.ended) &&
           found.strings == expected.strings && found.last_sequence == expected.last_sequence;
}

inline std::string describe(const gw_record& found) {
    RecordView view;
    view.uid = found.uid;
    view.pid = found.pid;
    view.mask = found.mask;
    view.cpu_level = static_cast<std::int8_t>(found.cpu_level);
    view.bundle = view_of(found.bundle);
    for (std::uint32_t i = 0; i < found.grant_count; ++i) {
        const gw_grant& grant = found.grants[i];
        view.grants[view.grant_count++] = {grant.type, grant.is_persist != 0, grant.timeout_ms, grant.deadline,
                                           view_of(grant.reason)};
    }
    return test::describe(view);
}

}  // namespace grantwheel::fuzz
