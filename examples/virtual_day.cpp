// Simulates a day of ten thousand apps in virtual time, and prints who held what for how long.
//
//   $ virtual_day [APPS [SEED [EVENTS]]]      EVENTS: a file to write every event to, one a line
//
// Time is an argument of every call, so a day takes as long as its calls do, less than a second, and the same seed gives
// the same day. All that is printed was read from the events: they are the whole history of every mask.
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include <grantwheel/manager.hpp>

#include "arguments.hpp"

namespace gw = grantwheel;

namespace {

constexpr gw::Instant second = 1000;
constexpr gw::Instant minute = 60 * second;
constexpr gw::Instant hour = 60 * minute;
constexpr gw::Instant day = 24 * hour;
constexpr std::uint32_t first_uid = 10'000;
constexpr std::size_t shown = 10;
constexpr const char* usage =
    "usage: virtual_day [APPS [SEED [EVENTS]]]\n"
    "A day of APPS apps, 1..100000 (10000), in virtual time: who held what for how long. The same SEED (1) gives the\n"
    "same day. EVENTS is a file to write every event to, one a line.\n";
// Those that can be here: nobody resets all, and there are no processes and no removals.
constexpr gw::Cause shown_causes[] = {gw::Cause::release, gw::Cause::expired, gw::Cause::app_stopped, gw::Cause::admin};

#define TYPE_NAME(name, position) #name,
#define CAUSE_NAME(name) #name,
constexpr const char* type_names[] = {GRANTWHEEL_TYPE_LIST(TYPE_NAME)};
constexpr const char* cause_names[] = {GRANTWHEEL_CAUSE_LIST(CAUSE_NAME)};
#undef TYPE_NAME
#undef CAUSE_NAME

// One type in the hands of one app, from its apply to its end.
struct Hold {
    std::uint32_t uid = 0;
    std::size_t type = 0;
    gw::Instant begin = 0;
    gw::Instant end = 0;

    gw::Instant length() const { return end - begin; }
};

struct TypeTotal {
    gw::Instant held = 0;
    std::uint64_t grants = 0;
    std::array<std::uint64_t, gw::cause_count> ended{};
};

// Follows the events. Only apps hold anything here, no processes.
class Ledger {
public:
    explicit Ledger(std::size_t apps) : since_(apps), longest_(apps) {}

    void read(const gw::Engine& engine, std::FILE* copy) {
        std::array<gw::Event, 1024> events;
        for (;;) {
            const gw::EventsRead read = engine.read(last_, events);
            missed_ += read.missed;
            if (read.count == 0) return;
            for (std::size_t i = 0; i < read.count; ++i) {
                enter(events[i]);
                if (copy != nullptr) write(events[i], copy);
            }
            last_ = events[read.count - 1].sequence;
        }
    }

    const TypeTotal& total(std::size_t type) const { return totals_[type]; }
    std::uint64_t events() const { return last_; }
    std::uint64_t missed() const { return missed_; }

    // The longest hold of each of the apps with the longest ones.
    std::vector<Hold> longest() const {
        std::vector<Hold> sorted = longest_;
        const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(shown, sorted.size()));
        std::partial_sort(sorted.begin(), place, sorted.end(), [](const Hold& a, const Hold& b) {
            return a.length() != b.length() ? a.length() > b.length() : a.uid < b.uid;
        });
        sorted.erase(place, sorted.end());
        return sorted;
    }

private:
    void enter(const gw::Event& event) {
        const std::size_t app = event.uid - first_uid;
        for (std::size_t type = 0; type < gw::type_count; ++type) {
            if ((event.mask & gw::Mask{1} << type) == 0) continue;
            if (event.kind == gw::EventKind::app_apply) {
                since_[app][type] = event.time;
                ++totals_[type].grants;
                continue;
            }
            const Hold hold{event.uid, type, since_[app][type], event.time};
            totals_[type].held += hold.length();
            ++totals_[type].ended[static_cast<std::size_t>(event.cause)];
            if (hold.length() > longest_[app].length()) longest_[app] = hold;
        }
    }

    static void write(const gw::Event& event, std::FILE* file) {
        const bool is_apply = event.kind == gw::EventKind::app_apply;
        std::fprintf(file, "%" PRIu64 " %s %s %u %u\n", event.time, is_apply ? "begin" : "end",
                     cause_names[static_cast<std::size_t>(event.cause)], event.uid, event.mask);
    }

    std::vector<std::array<gw::Instant, gw::type_count>> since_;
    std::vector<Hold> longest_;
    std::array<TypeTotal, gw::type_count> totals_{};
    std::uint64_t last_ = 0;
    std::uint64_t missed_ = 0;
};

// What apps do all day. Each has its next turn in a queue.
class Apps {
public:
    Apps(gw::Manager& manager, std::size_t count, std::uint64_t seed) : manager_(manager), random_(seed) {
        for (std::size_t i = 0; i < count; ++i) {
            turns_.push({below(30 * minute), first_uid + static_cast<std::uint32_t>(i)});
        }
    }

    gw::Instant next_turn() const { return turns_.empty() ? gw::no_deadline : turns_.top().at; }
    std::uint64_t calls() const { return calls_; }
    std::uint64_t refused() const { return refused_; }

    void take_turn() {
        const Turn turn = turns_.top();
        turns_.pop();
        act(turn.uid, turn.at);
        turns_.push({turn.at + minute + below(40 * minute), turn.uid});
    }

private:
    struct Turn {
        gw::Instant at;
        std::uint32_t uid;
        friend bool operator>(const Turn& a, const Turn& b) { return a.at != b.at ? a.at > b.at : a.uid > b.uid; }
    };

    // The distributions of <random> may differ between libraries; the numbers of the generator do not.
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    void act(std::uint32_t uid, gw::Instant now) {
        const std::uint64_t choice = below(100);
        if (choice < 30) {
            apply(uid, gw::type::COMMON_EVENT, 5 * second + below(25 * second), now);  // a message has come
        } else if (choice < 50) {
            apply(uid, gw::type::CPU | gw::type::WORK_SCHEDULER, minute + below(10 * minute),
                  now);  // a synchronisation
        } else if (choice < 70) {
            apply(uid, gw::type::GPS, 20 * minute, now);  // on the way: the next turns extend it
        } else if (choice < 78) {
            apply(uid, gw::type::AUDIO | gw::type::BLUETOOTH, 0, now);  // music, until it is stopped
        } else if (choice < 86) {
            request(uid, {.mask = gw::type::AUDIO | gw::type::BLUETOOTH, .is_apply = false}, now);
        } else if (choice < 92) {
            apply(uid, gw::type::TIMER, 4 * hour + below(4 * hour), now);  // an alarm, which survives the next two
        } else if (choice < 97) {
            count(manager_.execute(manager_.admit_app_stopped(uid, now), now));
        } else {
            request(uid, {.mask = gw::type::ALL, .is_apply = false}, now);
        }
    }

    void apply(std::uint32_t uid, gw::Mask mask, gw::Instant timeout, gw::Instant now) {
        request(uid, {.mask = mask, .is_persist = timeout == 0, .timeout_ms = timeout}, now);
    }

    void request(std::uint32_t uid, const gw::Request& request, gw::Instant now) {
        count(manager_.request({.uid = uid, .pid = 1, .system_app = true}, request, now));
    }

    void count(gw::Result result) {
        ++calls_;
        if (result.status != gw::Status::ok) ++refused_;
    }

    gw::Manager& manager_;
    std::mt19937_64 random_;
    std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;
    std::uint64_t calls_ = 0;
    std::uint64_t refused_ = 0;
};

std::string text_of(gw::Instant time) {
    std::array<char, 32> text;
    std::snprintf(text.data(), text.size(), "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64, time / hour,
                  time % hour / minute, time % minute / second, time % second);
    return text.data();
}

void print(const Ledger& ledger) {
    std::printf("%-14s %18s %8s", "type", "held", "grants");
    for (const gw::Cause cause : shown_causes) std::printf(" %11s", cause_names[static_cast<std::size_t>(cause)]);
    std::printf("\n");
    for (std::size_t type = 0; type < gw::type_count; ++type) {
        const TypeTotal& total = ledger.total(type);
        std::printf("%-14s %18s %8" PRIu64, type_names[type], text_of(total.held).c_str(), total.grants);
        for (const gw::Cause cause : shown_causes) {
            std::printf(" %11" PRIu64, total.ended[static_cast<std::size_t>(cause)]);
        }
        std::printf("\n");
    }
    std::printf("\nthe apps with the longest holds: how long, from, to\n");
    for (const Hold& hold : ledger.longest()) {
        std::printf("%6u %-14s %s  %s  %s\n", hold.uid, type_names[hold.type], text_of(hold.length()).c_str(),
                    text_of(hold.begin).c_str(), text_of(hold.end).c_str());
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (const auto code = usage_only(count, arguments, 3, usage)) return *code;
    const auto apps = number_of(count > 1 ? arguments[1] : "10000", 100'000);
    const auto seed = number_of(count > 2 ? arguments[2] : "1", UINT64_MAX);
    if (!apps || *apps == 0 || !seed) {
        std::fputs(usage, stderr);
        return 2;
    }
    std::FILE* const copy = count > 3 ? std::fopen(arguments[3], "w") : nullptr;
    const auto manager = gw::Manager::create({.max_records = 100'000, .event_capacity = 1u << 17});
    if (!manager || (count > 3 && copy == nullptr)) {
        std::perror(count > 3 ? arguments[3] : "virtual_day");
        return 1;
    }

    Apps actors(*manager, *apps, *seed);
    Ledger ledger(*apps);
    for (gw::Instant now = 0; now < day; now += minute) {
        // The ring has room for more than the events of a minute, so reading once a minute misses none.
        while (actors.next_turn() < now + minute) actors.take_turn();
        (void)manager->engine().advance(now + minute - 1, SIZE_MAX);
        ledger.read(manager->engine(), copy);
    }
    // Midnight: what is still held ends, by an act of administration.
    (void)manager->execute(manager->admit_admin_reset_all(day), day);
    ledger.read(manager->engine(), copy);
    if (copy != nullptr) std::fclose(copy);

    std::printf("a day of %" PRIu64 " apps: %" PRIu64 " calls, %" PRIu64 " refused, %" PRIu64 " events, %" PRIu64
                " missed\n\n",
                *apps, actors.calls(), actors.refused(), ledger.events(), ledger.missed());
    print(ledger);
    return 0;
}
