#include "core/table.hpp"

#include <map>
#include <set>

#include "allocations.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

struct Known {
    Row row = no_row;
    std::uint32_t uid = 0;
    std::uint32_t pid = 0;
    TextId bundle = 0;
    Mask mask = 0;
};

std::set<std::uint32_t> processes_of(const Table& table, std::uint32_t uid) {
    std::set<std::uint32_t> pids;
    for (Row row = table.first_process(uid); row != no_row; row = table.next_of_uid(row)) {
        REQUIRE_EQUAL_QUIETLY(table.record(row).uid, uid);
        REQUIRE_QUIETLY(pids.insert(table.record(row).pid).second);
    }
    return pids;
}

void check_valid(const Table& table) {
    const char* reason = "";
    if (!table.validate(&reason)) BOOST_FAIL(reason);
}

// A table beside a map of the same owners.
class Model {
public:
    explicit Model(std::uint64_t seed) : random_(seed) {}

    void step(std::uint32_t uids, std::uint32_t pids, std::uint64_t removals) {
        const bool is_app = random_.one_in(2);
        const std::uint32_t uid = random_.below32(uids) * 0x1234'5678u;
        const std::uint32_t pid = random_.below32(pids);
        const Owner owner{is_app ? OwnerKind::app : OwnerKind::process, is_app ? uid : pid};
        const auto place = known_.find(owner);
        if (place == known_.end()) return add(owner, uid, pid);
        if (random_.below(10) < removals) return remove(place);
        set_mask(place->second, owner.kind);
    }

    void compare(std::uint32_t uids) const {
        check_valid(table_);
        std::map<std::uint32_t, std::set<std::uint32_t>> processes;
        std::size_t grants[2][type_count]{};
        std::size_t records[2]{};
        for (const auto& [owner, known] : known_) {
            REQUIRE_EQUAL_QUIETLY(table_.find(owner), known.row);
            REQUIRE_EQUAL_QUIETLY(table_.owner(known.row), owner);
            REQUIRE_EQUAL_QUIETLY(table_.record(known.row).uid, known.uid);
            REQUIRE_EQUAL_QUIETLY(table_.record(known.row).pid, known.pid);
            REQUIRE_EQUAL_QUIETLY(table_.mask(known.row), known.mask);
            REQUIRE_EQUAL_QUIETLY(table_.record(known.row).bundle, known.bundle);
            const auto kind = static_cast<std::size_t>(owner.kind);
            ++records[kind];
            for_each_type(known.mask, [&](int type) { ++grants[kind][type]; });
            if (owner.kind == OwnerKind::process) processes[known.uid].insert(known.pid);
        }
        for (const OwnerKind kind : {OwnerKind::app, OwnerKind::process}) {
            const auto at = static_cast<std::size_t>(kind);
            REQUIRE_EQUAL_QUIETLY(table_.record_count(kind), records[at]);
            for (int type = 0; type < type_count; ++type) {
                REQUIRE_EQUAL_QUIETLY(table_.grant_count(kind, type), grants[at][type]);
            }
        }
        REQUIRE_EQUAL_QUIETLY(table_.size(), known_.size());
        for (std::uint32_t i = 0; i < uids; ++i) {
            const std::uint32_t uid = i * 0x1234'5678u;
            if (!known_.contains({OwnerKind::app, uid})) REQUIRE_EQUAL_QUIETLY(table_.find_app(uid), no_row);
            REQUIRE_QUIETLY(processes_of(table_, uid) == processes[uid]);
        }
    }

    void remove_all() {
        while (!known_.empty()) remove(known_.begin());
        check_valid(table_);
        REQUIRE_EQUAL_QUIETLY(table_.size(), 0u);
    }

    [[nodiscard]] std::size_t most() const { return most_; }
    [[nodiscard]] const Table& table() const { return table_; }

private:
    using Place = std::map<Owner, Known>::iterator;

    void add(Owner owner, std::uint32_t uid, std::uint32_t pid) {
        REQUIRE_EQUAL_QUIETLY(table_.find(owner), no_row);
        const bool is_app = owner.kind == OwnerKind::app;
        REQUIRE_QUIETLY(table_.make_room(uid, is_app ? 1 : 0, is_app ? 0 : 1, ALL));
        const TextId bundle = random_.below32(100);
        Known known{table_.add(owner.kind, uid, pid, bundle), uid, pid, bundle, 0};
        const Record& record = table_.record(known.row);
        REQUIRE_EQUAL_QUIETLY(record.armed, no_deadline);
        REQUIRE_EQUAL_QUIETLY(record.persist_mask, 0);
        REQUIRE_EQUAL_QUIETLY(record.cpu_level, default_level);
        REQUIRE_EQUAL_QUIETLY(table_.mask(known.row), 0u);
        set_mask(known, owner.kind);
        known_.emplace(owner, known);
        most_ = std::max(most_, known_.size());
    }
    void remove(Place place) {
        table_.set_mask(place->second.row, 0);
        table_.remove(place->second.row);
        REQUIRE_EQUAL_QUIETLY(table_.find(place->first), no_row);
        known_.erase(place);
    }
    void set_mask(Known& known, OwnerKind kind) {
        known.mask = kind == OwnerKind::app ? 1 + random_.below32(ALL) : CPU;
        table_.set_mask(known.row, known.mask);
    }

    Random random_;
    Table table_;
    std::map<Owner, Known> known_;
    std::size_t most_ = 0;
};

// A table with app 1, process 10 and 11 of uid 1, and process 20 of uid 2.
struct Small {
    Table table;
    Row app;
    Row ten;
    Row eleven;
    Row twenty;

    Small() {
        REQUIRE_QUIETLY(table.make_room(1, 1, 2, ALL));
        app = table.add(OwnerKind::app, 1, 10, 0);
        ten = table.add(OwnerKind::process, 1, 10, 0);
        eleven = table.add(OwnerKind::process, 1, 11, 0);
        table.set_mask(app, CPU | GPS);
        for (const Row row : {ten, eleven}) table.set_mask(row, CPU);
        REQUIRE_QUIETLY(table.make_room(2, 0, 1, ALL));
        twenty = table.add(OwnerKind::process, 2, 20, 0);
        table.set_mask(twenty, CPU);
        check_valid(table);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(table)

BOOST_AUTO_TEST_CASE(an_empty_table_finds_nobody) {
    const Table table;
    BOOST_CHECK_EQUAL(table.find_app(0), no_row);
    BOOST_CHECK_EQUAL(table.find_process(0), no_row);
    BOOST_CHECK_EQUAL(table.first_process(0), no_row);
    BOOST_CHECK_EQUAL(table.end(), 0u);
    check_valid(table);
}

BOOST_AUTO_TEST_CASE(agrees_with_a_model) {
    for (const std::uint64_t seed : {81u, 82u, 83u}) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            Model model(seed);
            for (int step = 0; step < 3000; ++step) {
                model.step(12, 60, step / 500 % 2 == 0 ? 2 : 8);
                if (step % 20 == 0) model.compare(12);
            }
            model.remove_all();
        }
    }
}

BOOST_AUTO_TEST_CASE(freed_rows_serve_the_next_records) {
    Model model(84);
    for (int step = 0; step < 3000; ++step) model.step(12, 60, 5);
    BOOST_CHECK_EQUAL(model.table().end(), model.most());
}

BOOST_AUTO_TEST_CASE(an_app_and_a_process_may_have_the_same_key) {
    Table table;
    REQUIRE_QUIETLY(table.make_room(7, 1, 1, ALL));
    const Row process = table.add(OwnerKind::process, 7, 7, 0);
    const Row app = table.add(OwnerKind::app, 7, 7, 0);
    BOOST_CHECK_NE(process, app);
    BOOST_CHECK_EQUAL(table.find_app(7), app);
    BOOST_CHECK_EQUAL(table.find_process(7), process);
}

BOOST_AUTO_TEST_CASE(the_smallest_and_largest_keys_are_keys_like_others) {
    Table table;
    REQUIRE_QUIETLY(table.make_room(0, 1, 1, ALL));
    const Row first = table.add(OwnerKind::app, 0, 0, 0);
    const Row zero = table.add(OwnerKind::process, 0, 0, 0);
    for (const Row row : {first, zero}) table.set_mask(row, CPU);
    REQUIRE_QUIETLY(table.make_room(0xFFFF'FFFE, 1, 1, ALL));
    const Row last = table.add(OwnerKind::app, 0xFFFF'FFFE, 0x7FFF'FFFF, 0);
    const Row process = table.add(OwnerKind::process, 0xFFFF'FFFE, 0x7FFF'FFFF, 0);
    for (const Row row : {last, process}) table.set_mask(row, CPU);
    BOOST_CHECK_EQUAL(table.find_app(0), first);
    BOOST_CHECK_EQUAL(table.find_app(0xFFFF'FFFE), last);
    BOOST_CHECK_EQUAL(table.find_process(0x7FFF'FFFF), process);
    BOOST_CHECK_EQUAL(table.first_process(0), zero);
    check_valid(table);
}

BOOST_AUTO_TEST_CASE(processes_stay_listed_without_an_app_record) {
    Small small;
    small.table.set_mask(small.app, 0);
    small.table.remove(small.app);
    BOOST_CHECK((processes_of(small.table, 1) == std::set<std::uint32_t>{10, 11}));
    for (const Row row : {small.ten, small.eleven}) {
        small.table.set_mask(row, 0);
        small.table.remove(row);
        check_valid(small.table);
    }
    BOOST_CHECK_EQUAL(small.table.first_process(1), no_row);
    BOOST_CHECK((processes_of(small.table, 2) == std::set<std::uint32_t>{20}));
}

BOOST_AUTO_TEST_CASE(after_make_room_records_of_a_uid_are_added_without_memory) {
    Table table;
    for (std::uint32_t uid = 0; uid < 100; ++uid) {
        const std::uint32_t processes = uid % 7;
        REQUIRE_QUIETLY(table.make_room(uid, 1, processes, ALL));
        const std::size_t before = allocations();
        for (std::uint32_t i = 0; i < processes; ++i) {
            table.set_mask(table.add(OwnerKind::process, uid, 10 * uid + i, 0), CPU);
        }
        table.set_mask(table.add(OwnerKind::app, uid, 0, 0), GPS);
        REQUIRE_EQUAL_QUIETLY(allocations(), before);
    }
    check_valid(table);
}

BOOST_AUTO_TEST_CASE(a_reserved_table_takes_apps_without_memory) {
    for (const std::uint32_t apps : {0u, 1u, 11u, 12u, 13u, 1000u}) {
        Table table;
        REQUIRE_QUIETLY(table.reserve(apps));
        BOOST_CHECK_GE(table.capacity(), apps);
        BOOST_CHECK_EQUAL(table.end(), 0u);
        const std::size_t before = allocations();
        for (std::uint32_t uid = 0; uid < apps; ++uid) {
            REQUIRE_QUIETLY(table.make_room(uid, 1, 0, ALL));
            table.set_mask(table.add(OwnerKind::app, uid, 0, 0), GPS);
        }
        BOOST_CHECK_EQUAL(allocations(), before);
        check_valid(table);
    }
}

// What has_room promises make_room need not do; and after make_room it is there for any uid, so that nobody asks twice.
BOOST_AUTO_TEST_CASE(there_is_room_where_make_room_needs_no_memory) {
    Random random(86);
    Table table;
    BOOST_CHECK(!table.has_room(1, 0, CPU));
    std::vector<Row> rows;
    const Mask types[] = {CPU, GPS, CPU | SENSOR};
    for (std::uint32_t uid = 0; uid < 500; ++uid) {
        const std::size_t apps = random.below(2);
        const std::size_t processes = random.below(4) + 1 - apps;
        const Mask mask = types[random.below(1 + uid / 200)];
        const bool has_room = table.has_room(apps, processes, mask);
        const std::size_t before = allocations();
        REQUIRE_QUIETLY(table.make_room(uid, apps, processes, mask));
        if (has_room) REQUIRE_EQUAL_QUIETLY(allocations(), before);
        REQUIRE_QUIETLY(table.has_types(mask) && table.has_room(apps, processes, mask));
        for (std::uint32_t i = 0; i < processes; ++i) {
            rows.push_back(table.add(OwnerKind::process, uid, 10 * uid + i, 0));
            table.set_mask(rows.back(), CPU);
        }
        if (apps != 0) {
            rows.push_back(table.add(OwnerKind::app, uid, 0, 0));
            table.set_mask(rows.back(), CPU);
        }
        while (random.one_in(3) && !rows.empty()) {
            std::swap(rows[random.below(rows.size())], rows.back());
            table.set_mask(rows.back(), 0);
            table.remove(rows.back());
            rows.pop_back();
        }
    }
    check_valid(table);
}

BOOST_AUTO_TEST_CASE(a_type_has_memory_for_all_rows_from_its_first_grant_on) {
    Table table;
    BOOST_CHECK(!table.has_types(CPU));
    REQUIRE_QUIETLY(table.make_room(1, 1, 0, GPS));
    BOOST_CHECK(table.has_types(GPS));
    BOOST_CHECK(!table.has_types(CPU));
    BOOST_CHECK(!table.has_types(CPU | GPS));
    BOOST_CHECK(!table.has_room(1, 0, CPU | GPS));
    table.prefetch_row(0, ALL);
    const Row app = table.add(OwnerKind::app, 1, 0, 0);
    table.set_mask(app, GPS);
    {
        const FailingAllocation failing(0);
        BOOST_CHECK(!table.make_room(1, 0, 0, CPU));
    }
    BOOST_CHECK(!table.has_types(CPU));
    REQUIRE_QUIETLY(table.make_room(1, 0, 0, CPU));
    BOOST_CHECK(table.has_types(CPU | GPS));
    table.grant(app, 0) = {9, 1, 2};
    BOOST_CHECK_EQUAL(table.grant(app, 0).timeout_ms, 2u);
}

BOOST_AUTO_TEST_CASE(a_failed_allocation_changes_nothing) {
    bool failed = true;
    for (std::size_t passed = 0; failed; ++passed) {
        Small small;
        for (std::uint32_t uid = 3; small.table.size() < 12; ++uid) {
            REQUIRE_QUIETLY(small.table.make_room(uid, 1, 0, ALL));
            small.table.set_mask(small.table.add(OwnerKind::app, uid, 0, 0), GPS);
        }
        const FailingAllocation failing(passed);
        failed = !small.table.make_room(100, 1, 100, ALL);
        REQUIRE_EQUAL_QUIETLY(failed, FailingAllocation::happened());
        check_valid(small.table);
        REQUIRE_EQUAL_QUIETLY(small.table.size(), 12u);
        REQUIRE_QUIETLY(small.table.make_room(100, 1, 100, ALL));
        REQUIRE_EQUAL_QUIETLY(small.table.find_app(1), small.app);
        REQUIRE_EQUAL_QUIETLY(small.table.find_process(20), small.twenty);
    }
}

BOOST_AUTO_TEST_CASE(holders_of_a_type_are_visited_by_ascending_row) {
    Random random(85);
    Table table;
    for (std::uint32_t uid = 0; uid < 40; ++uid) {
        // Tables of any length, as rows may be looked at several at a time.
        for (const Mask wanted : {CPU, SENSOR, GPS | TIMER, ALL}) {
            std::vector<Row> expected;
            for (Row row = 0; row < table.end(); ++row) {
                if ((table.mask(row) & wanted) != 0) expected.push_back(row);
            }
            std::vector<Row> found;
            table.for_each_holder(wanted, [&](Row row) { found.push_back(row); });
            BOOST_CHECK(found == expected);
        }
        REQUIRE_QUIETLY(table.make_room(uid, 1, 0, ALL));
        table.set_mask(table.add(OwnerKind::app, uid, 0, 0), 1 + random.below32(ALL));
    }
}

BOOST_AUTO_TEST_CASE(validate_names_what_is_broken) {
    const auto reason_after = [](auto&& damage) {
        Small small;
        damage(small);
        const char* reason = "";
        BOOST_CHECK(!small.table.validate(&reason));
        return std::string(reason);
    };
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.record(small.app).persist_mask = TIMER; }),
                      "table: persistent type that is not held");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) {
                          small.table.set_mask(small.app, GPS);
                          small.table.record(small.app).cpu_level = 1;
                      }),
                      "table: cpu level without CPU");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.set_mask(small.ten, CPU | GPS); }),
                      "table: process record with more than CPU");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.record(small.app).uid = 3; }),
                      "table: record not in the index");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.links(small.ten).previous = small.twenty; }),
                      "table: link of the records of a uid");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.links(small.ten).previous = no_row; }),
                      "table: first record of a uid");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.links(small.app).previous = small.ten; }),
                      "table: app that is not the first record of its uid");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.links(small.ten).next = small.twenty; }),
                      "table: record in the list of another uid");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.record(small.app).mask = GPS; }),
                      "table: mask of a record");
    BOOST_CHECK_EQUAL(reason_after([](Small& small) { small.table.set_mask(small.twenty, 0); }),
                      "table: number of records");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
