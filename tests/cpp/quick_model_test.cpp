// The model for long runs against the plain one, call by call; and the differential run itself, in short.
#include "differential_life.hpp"
#include "model.hpp"
#include "support.hpp"

namespace grantwheel::test {

namespace {

ModelEvent plain(const Universe& universe, const QuickEvent& event) {
    return {universe.owner(event.record),
            event.time,
            event.kind,
            event.cause,
            universe.uids[event.uid],
            universe.pids[event.pid],
            event.mask,
            universe.texts[event.bundle],
            event.level};
}

std::string tell(const Universe& universe, const QuickModel& model, Place place) {
    const QuickRecord& record = model.record(place);
    RecordView view{.mask = record.mask, .cpu_level = record.level, .bundle = universe.texts[record.bundle]};
    view.uid = universe.uids[record.uid];
    view.pid = universe.pids[record.pid];
    QuickModel::for_each_type(record.mask, [&](int type) {
        const QuickGrant& grant = record.grants[type];
        view.grants[view.grant_count++] = {Mask{1} << type, grant.deadline == no_deadline, grant.timeout_ms,
                                           grant.deadline, universe.texts[grant.reason]};
    });
    return describe(view);
}

class Pair {
public:
    Pair(const Rung& rung, std::uint64_t seed)
        : rung_(rung),
          universe_(universe_of(rung)),
          quick_(universe_, rung.limits),
          plain_(rung.limits),
          dice_(seed),
          now_(rung.start) {}

    void run(int steps) {
        for (int step = 0; step < steps; ++step) {
            if (dice_.one_in(2)) now_ = std::min(max_now, now_ + dice_.magnitude(rung_.step_bits));
            const Call call = random_call();
            if (dice_.one_in(12)) recover();
            const Result found = quick_.execute(call, now_);
            const Result expected = plain_.execute(command_of(universe_, call), now_);
            REQUIRE_EQUAL_QUIETLY(found.status, expected.status);
            REQUIRE_EQUAL_QUIETLY(found.mask, expected.mask);
            compare();
        }
    }

private:
    void recover() {
        std::vector<Place> places;
        std::vector<std::uint32_t> keys[2];
        quick_.settle(now_);
        plain_.settle(now_);
        for (Place record = 0; record < universe_.records(); ++record) {
            if (!dice_.one_in(4)) continue;
            places.push_back(record);
            const Owner owner = universe_.owner(record);
            keys[static_cast<std::size_t>(owner.kind)].push_back(owner.key);
        }
        REQUIRE_EQUAL_QUIETLY(quick_.recover(places), plain_.recover(keys[0], keys[1]).first);
        compare();
    }
    Call random_call() {
        static constexpr CommandKind kinds[] = {CommandKind::release,         CommandKind::reset_all,
                                                CommandKind::process_died,    CommandKind::app_stopped,
                                                CommandKind::package_removed, CommandKind::admin_reset_app,
                                                CommandKind::admin_reset_app, CommandKind::admin_reset_process};
        Call call;
        if (dice_.one_in(3)) call.kind = dice_.one_in(30) ? CommandKind::admin_reset_all : kinds[dice_.below(8)];
        call.is_persist = dice_.one_in(rung_.persists);
        call.is_process = dice_.one_in(2);
        call.cpu_level = static_cast<std::int8_t>(static_cast<int>(dice_.below(4)) - 1);
        call.mask = dice_.one_in(3) ? type::CPU : 1 + dice_.below(type::ALL);
        call.uid = dice_.below(static_cast<std::uint32_t>(universe_.uids.size()));
        call.pid = dice_.below(static_cast<std::uint32_t>(universe_.pids.size()));
        call.timeout_ms = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, dice_.magnitude(rung_.timeout_bits)));
        call.bundle = dice_.below(rung_.texts);
        call.reason = dice_.below(rung_.texts);
        return call;
    }

    void compare() {
        REQUIRE_EQUAL_QUIETLY(quick_.events.size(), plain_.events.size());
        for (std::size_t i = 0; i < quick_.events.size(); ++i) {
            REQUIRE_QUIETLY(plain(universe_, quick_.events[i]) == plain_.events[i]);
        }
        quick_.events.clear();
        plain_.events.clear();
        std::size_t records = 0;
        quick_.for_each_record([&](Place place) {
            REQUIRE_EQUAL_QUIETLY(tell(universe_, quick_, place), plain_.describe(universe_.owner(place)));
            const auto at = plain_.records.find(universe_.owner(place));
            if (at != plain_.records.end()) REQUIRE_EQUAL_QUIETLY(quick_.record(place).applied, at->second.applied);
            records += quick_.record(place).mask != 0;
        });
        REQUIRE_EQUAL_QUIETLY(records, plain_.records.size());
        REQUIRE_EQUAL_QUIETLY(quick_.next_deadline(), plain_.next_deadline());
        REQUIRE_EQUAL_QUIETLY(quick_.texts(), plain_.texts().size());
        REQUIRE_EQUAL_QUIETLY(quick_.granted, plain_.granted);
        REQUIRE_EQUAL_QUIETLY(quick_.renewed, plain_.renewed);
        REQUIRE_QUIETLY(std::equal(std::begin(quick_.ended), std::end(quick_.ended), std::begin(plain_.ended)));
        for (Place uid = 0; uid < universe_.uids.size(); ++uid) compare_processes(uid);
    }
    void compare_processes(Place uid) {
        std::vector<std::uint32_t> pids;
        for (const auto& [owner, record] : plain_.records) {
            if (owner.kind == OwnerKind::process && record.uid == universe_.uids[uid]) pids.push_back(owner.key);
        }
        const auto& found = quick_.processes(uid);
        REQUIRE_QUIETLY(std::equal(found.begin(), found.end(), pids.begin(), pids.end(),
                                   [&](Place place, std::uint32_t pid) { return universe_.pids[place] == pid; }));
    }

    const Rung& rung_;
    Universe universe_;
    QuickModel quick_;
    Model plain_;
    Dice dice_;
    Instant now_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(quick_model)

BOOST_AUTO_TEST_CASE(is_the_plain_model) {
    std::uint64_t seed = 1600;
    for (const Rung& rung : ladder) {
        if (rung.uids + rung.pids > 100) continue;
        BOOST_TEST_CONTEXT("rung " << rung.name << ", seed " << seed) Pair(rung, seed).run(400);
        ++seed;
    }
}

BOOST_AUTO_TEST_CASE(is_what_the_engine_does_on_every_rung) {
    std::uint64_t seed = 1700;
    for (const Rung& rung : ladder) {
        const Universe universe = universe_of(rung);
        Life life(rung, universe, seed);
        try {
            life.run(1500);
        } catch (const Difference& difference) {
            BOOST_ERROR("rung " << rung.name << ", seed " << seed << ", op " << life.op() << ": " << difference.what()
                                << '\n'
                                << life.last_calls());
        }
        ++seed;
    }
}

BOOST_AUTO_TEST_CASE(a_life_can_be_repeated_and_depends_on_its_seed) {
    const Universe universe = universe_of(ladder[2]);
    const auto hash = [&](std::uint64_t seed) { return Life(ladder[2], universe, seed).run(500).hash; };
    BOOST_CHECK_EQUAL(hash(1), hash(1));
    BOOST_CHECK_NE(hash(1), hash(2));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace grantwheel::test
