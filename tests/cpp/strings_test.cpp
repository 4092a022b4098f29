#include "core/strings.hpp"

#include <map>
#include <set>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

// A text of this length that differs from those with another number, if it is long enough to.
std::string text_of(std::size_t length, std::uint64_t number) {
    std::string text(length, 'x');
    for (std::size_t i = 0; i < length && number != 0; ++i, number /= 26)
        text[i] = static_cast<char>('a' + number % 26);
    return text;
}

void check_valid(const Strings& strings) {
    const char* reason = "";
    if (!strings.validate(&reason)) BOOST_FAIL(reason);
}

// Adds a text and takes a use of it.
TextId add(Strings& strings, std::string_view text) {
    const TextId id = strings.find_or_add(text);
    REQUIRE_QUIETLY(id != no_text);
    strings.use(id);
    return id;
}

// Texts with users and pins in a map; what has neither is gone.
class Model {
public:
    explicit Model(std::uint64_t seed) : random_(seed) {}

    // One random step on both.
    void step(std::size_t kinds) {
        const std::string text = text_of(lengths_.at(random_.below(lengths_.size())), random_.below(kinds));
        const auto known = texts_.find(text);
        REQUIRE_EQUAL_QUIETLY(strings_.find(text), text.empty()            ? Strings::empty
                                                   : known == texts_.end() ? no_text
                                                                           : known->second.id);
        if (text.empty()) return step_empty();
        switch (random_.below(5)) {
            case 0: return use(text);
            case 1: return pin(text);
            case 2:
                if (known != texts_.end() && known->second.users != 0) drop(known);
                return;
            case 3:
                if (known != texts_.end() && known->second.pins != 0) unpin(known);
                return;
            default: {
                // What is asked for and not wanted after all leaves nothing behind.
                const TextId id = strings_.find_or_add(text);
                REQUIRE_QUIETLY(strings_.text(id) == text);
                strings_.discard(id);
            }
        }
    }

    void compare() const {
        check_valid(strings_);
        std::size_t used = 0;
        std::set<TextId> ids;
        for (const auto& [text, entry] : texts_) {
            REQUIRE_EQUAL_QUIETLY(strings_.find(text), entry.id);
            REQUIRE_QUIETLY(strings_.text(entry.id) == text);
            REQUIRE_EQUAL_QUIETLY(strings_.users(entry.id), entry.users);
            REQUIRE_EQUAL_QUIETLY(strings_.pins(entry.id), entry.pins);
            REQUIRE_EQUAL_QUIETLY(strings_.used(entry.id), entry.users != 0);
            REQUIRE_QUIETLY(ids.insert(entry.id).second);
            used += entry.users != 0;
        }
        REQUIRE_EQUAL_QUIETLY(strings_.used_count(), used);
    }

    void let_everything_go() {
        while (!texts_.empty()) {
            const auto any = texts_.begin();
            if (any->second.users != 0) {
                drop(any);
            } else {
                unpin(any);
            }
        }
        compare();
    }

    [[nodiscard]] std::size_t size() const { return texts_.size(); }

private:
    struct Entry {
        TextId id;
        std::uint64_t users;
        std::uint32_t pins;
    };
    using Texts = std::map<std::string, Entry>;

    Entry& entry(const std::string& text) {
        const TextId id = strings_.find_or_add(text);
        const auto [place, added] = texts_.try_emplace(text, Entry{id, 0, 0});
        REQUIRE_EQUAL_QUIETLY(place->second.id, id);
        return place->second;
    }
    void use(const std::string& text) {
        Entry& used = entry(text);
        strings_.use(used.id);
        ++used.users;
    }
    void pin(const std::string& text) {
        Entry& pinned = entry(text);
        strings_.pin(pinned.id);
        ++pinned.pins;
    }
    void drop(Texts::iterator at) {
        strings_.drop(at->second.id);
        --at->second.users;
        forget(at);
    }
    void unpin(Texts::iterator at) {
        strings_.unpin(at->second.id);
        --at->second.pins;
        forget(at);
    }
    void forget(Texts::iterator at) {
        if (at->second.users == 0 && at->second.pins == 0) texts_.erase(at);
    }
    void step_empty() {
        strings_.use(Strings::empty);
        strings_.pin(Strings::empty);
        strings_.unpin(Strings::empty);
        strings_.drop(Strings::empty);
        strings_.discard(Strings::empty);
        REQUIRE_EQUAL_QUIETLY(strings_.find_or_add(""), Strings::empty);
    }

    static constexpr std::array<std::size_t, 16> lengths_{0,  3,  15,  16,  17,  31,  32,   33,
                                                          64, 65, 128, 200, 256, 513, 1023, 1024};
    Random random_;
    Strings strings_;
    Texts texts_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(strings)

BOOST_AUTO_TEST_CASE(the_empty_text_is_always_there_and_never_counted) {
    const std::size_t before = allocations();
    Strings strings;
    REQUIRE_EQUAL_QUIETLY(strings.find(""), Strings::empty);
    REQUIRE_EQUAL_QUIETLY(strings.find_or_add(""), Strings::empty);
    strings.use(Strings::empty);
    strings.pin(Strings::empty);
    REQUIRE_QUIETLY(strings.used(Strings::empty));
    REQUIRE_EQUAL_QUIETLY(strings.used_count(), 0u);
    REQUIRE_QUIETLY(strings.text(Strings::empty).empty());
    strings.unpin(Strings::empty);
    strings.drop(Strings::empty);
    REQUIRE_EQUAL_QUIETLY(strings.find("a"), no_text);
    check_valid(strings);
    BOOST_CHECK_EQUAL(allocations(), before);
}

BOOST_AUTO_TEST_CASE(agrees_with_a_model) {
    for (const std::uint64_t seed : {21u, 22u, 23u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Model model(seed);
            for (int step = 0; step < 2500; ++step) {
                model.step(step < 1200 ? 4 : 40);
                if (step % 20 == 0) model.compare();
            }
            model.compare();
            BOOST_CHECK_GT(model.size(), 20u);
            model.let_everything_go();
        }
    }
}

BOOST_AUTO_TEST_CASE(keeps_texts_of_every_length_apart) {
    Strings strings;
    std::vector<TextId> ids;
    for (std::size_t length = 0; length <= max_text_bytes; ++length) ids.push_back(add(strings, text_of(length, 1)));
    for (std::size_t length = 0; length <= max_text_bytes; ++length) {
        REQUIRE_QUIETLY(strings.text(ids[length]) == text_of(length, 1));
        REQUIRE_EQUAL_QUIETLY(strings.find(text_of(length, 1)), ids[length]);
    }
    check_valid(strings);
    BOOST_CHECK_EQUAL(strings.used_count(), max_text_bytes);
    for (std::size_t length = 0; length <= max_text_bytes; length += 2) strings.drop(ids[length]);
    check_valid(strings);
    for (std::size_t length = 1; length <= max_text_bytes; length += 2) {
        REQUIRE_QUIETLY(strings.text(ids[length]) == text_of(length, 1));
    }
    for (std::size_t length = 2; length <= max_text_bytes; length += 2) {
        REQUIRE_EQUAL_QUIETLY(strings.find(text_of(length, 1)), no_text);
    }
}

BOOST_AUTO_TEST_CASE(texts_are_bytes_and_may_hold_any) {
    Strings strings;
    const std::string zeros(20, '\0');
    const std::string longer(21, '\0');
    const TextId first = add(strings, zeros);
    const TextId second = add(strings, longer);
    BOOST_CHECK_NE(first, second);
    BOOST_CHECK(strings.text(first) == zeros);
    BOOST_CHECK(strings.text(second) == longer);
}

BOOST_AUTO_TEST_CASE(the_same_text_has_the_same_number_until_its_last_user_goes) {
    Strings strings;
    const TextId id = add(strings, "reason");
    BOOST_CHECK_EQUAL(add(strings, "reason"), id);
    BOOST_CHECK_EQUAL(strings.used_count(), 1u);
    strings.drop(id);
    BOOST_CHECK_EQUAL(strings.find("reason"), id);
    strings.drop(id);
    BOOST_CHECK_EQUAL(strings.find("reason"), no_text);
    BOOST_CHECK_EQUAL(strings.used_count(), 0u);
}

BOOST_AUTO_TEST_CASE(a_pin_keeps_a_text_that_is_not_counted) {
    Strings strings;
    const TextId id = add(strings, "bundle");
    strings.pin(id);
    strings.drop(id);
    BOOST_CHECK_EQUAL(strings.find("bundle"), id);
    BOOST_CHECK(!strings.used(id));
    BOOST_CHECK_EQUAL(strings.used_count(), 0u);
    check_valid(strings);
    strings.discard(id);
    BOOST_CHECK_EQUAL(strings.find("bundle"), id);
    strings.use(id);
    BOOST_CHECK_EQUAL(strings.used_count(), 1u);
    strings.unpin(id);
    BOOST_CHECK_EQUAL(strings.find("bundle"), id);
    strings.drop(id);
    BOOST_CHECK_EQUAL(strings.find("bundle"), no_text);
}

BOOST_AUTO_TEST_CASE(discard_only_drops_what_nobody_wants) {
    Strings strings;
    strings.discard(no_text);
    const TextId wanted = add(strings, "wanted");
    strings.discard(wanted);
    BOOST_CHECK_EQUAL(strings.find("wanted"), wanted);
    strings.discard(strings.find_or_add("unwanted"));
    BOOST_CHECK_EQUAL(strings.find("unwanted"), no_text);
    check_valid(strings);
}

BOOST_AUTO_TEST_CASE(freed_blocks_serve_texts_of_their_size) {
    Strings strings;
    constexpr std::uint64_t count = 20;
    // One round holds texts of each size of block at the same time.
    const auto round = [&](std::uint64_t number, std::vector<TextId>& ids, const std::vector<std::string>& texts) {
        ids.clear();
        for (const std::string& text : texts) ids.push_back(add(strings, text));
        check_valid(strings);
        for (std::size_t i = 0; i < texts.size(); ++i) REQUIRE_QUIETLY(strings.text(ids[i]) == texts[i]);
        // In another order each time, so that free blocks are chained in any order.
        for (std::size_t i = 0; i < ids.size(); ++i) strings.drop(ids[(i * 11 + number) % ids.size()]);
    };
    std::vector<TextId> ids;
    std::size_t allocated = 0;
    for (std::uint64_t number = 0; number < 10; ++number) {
        std::vector<std::string> texts;
        for (std::size_t size = 16; size <= max_text_bytes; size *= 2) {
            for (std::uint64_t i = 0; i < count; ++i) texts.push_back(text_of(size - i % 8, 100 * number + i + 1));
        }
        ids.reserve(texts.size());
        const std::size_t before = allocations();
        round(number, ids, texts);
        allocated = allocations() - before;
    }
    BOOST_CHECK_EQUAL(allocated, 0u);
    BOOST_CHECK_EQUAL(strings.used_count(), 0u);
    BOOST_CHECK_EQUAL(strings.end(), 7 * count + 1);
}

BOOST_AUTO_TEST_CASE(texts_that_come_and_go_allocate_nothing_whatever_their_number) {
    for (std::uint64_t count = 1; count <= 70; ++count) {
        Strings strings;
        std::vector<std::string> texts;
        for (std::uint64_t i = 0; i < count; ++i) texts.push_back(text_of(12, i + 1));
        std::vector<TextId> ids(count);
        std::size_t before = 0;
        for (int round = 0; round < 3; ++round) {
            if (round == 1) before = allocations();
            for (std::size_t i = 0; i < count; ++i) ids[i] = add(strings, texts[i]);
            for (const TextId id : ids) strings.drop(id);
        }
        BOOST_CHECK_MESSAGE(allocations() == before, count << " texts: " << allocations() - before << " allocations");
    }
}

BOOST_AUTO_TEST_CASE(validate_notices_texts_that_nobody_wants_or_that_are_wanted_after_their_end) {
    const auto reason_after = [](auto&& damage) {
        Strings strings;
        const TextId kept = add(strings, "kept");
        const TextId gone = add(strings, "gone");
        strings.drop(gone);
        check_valid(strings);
        damage(strings, kept, gone);
        const char* reason = "";
        BOOST_CHECK(!strings.validate(&reason));
        return std::string(reason);
    };
    BOOST_CHECK_EQUAL(
        reason_after([](Strings& strings, TextId, TextId) { BOOST_CHECK_NE(strings.find_or_add("new"), no_text); }),
        "strings: text without user or pin");
    BOOST_CHECK_NE(reason_after([](Strings& strings, TextId, TextId gone) { strings.use(gone); }), "");
    BOOST_CHECK_NE(reason_after([](Strings& strings, TextId, TextId gone) { strings.pin(gone); }), "");
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < 60; ++i) texts.push_back(text_of(8 + i * 17, i + 1));
    bool failed = true;
    std::size_t allocated = 0;
    for (; failed; ++allocated) {
        failed = false;
        Strings strings;
        const FailingAllocation failing(allocated);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            TextId id = strings.find_or_add(texts[i]);
            if (id == no_text) {
                REQUIRE_QUIETLY(!failed);
                failed = true;
                check_valid(strings);
                REQUIRE_EQUAL_QUIETLY(strings.used_count(), i);
                REQUIRE_EQUAL_QUIETLY(strings.find(texts[i]), no_text);
                for (std::size_t j = 0; j < i; ++j) REQUIRE_QUIETLY(strings.text(strings.find(texts[j])) == texts[j]);
                id = strings.find_or_add(texts[i]);
            }
            REQUIRE_QUIETLY(id != no_text);
            strings.use(id);
        }
        check_valid(strings);
        REQUIRE_EQUAL_QUIETLY(failed, FailingAllocation::happened());
    }
    BOOST_CHECK_GT(allocated, 15u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
