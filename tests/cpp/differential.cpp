// The long differential run: random calls on the engine and on a model in step, over a ladder of configurations.
//
//     grantwheel_differential [--ops 1e9] [--seed 1] [--jobs 2] [--rung NAME [--life N]]
//
// It ends with a hash over all answers and events, which does not depend on the build nor on the number of jobs. On a
// difference it says which life of which rung it was, and what to call to see it again at once.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>

#include <unistd.h>

#include "differential_life.hpp"

namespace grantwheel::test {

namespace {

struct Options {
    std::uint64_t ops = 2'000'000;
    std::uint64_t seed = 1;
    unsigned jobs = 1;
    std::string rung{};
    std::uint64_t life = UINT64_MAX;  // all of them
};

// The lives of a rung, and what they have given.
struct Course {
    const Rung* rung;
    Universe universe;
    std::uint64_t ops;
    std::vector<Outcome> outcomes;
    std::uint64_t left;
    double seconds = 0;
};

// Where a thread is, for the last words of a process that a signal ends.
thread_local char where[160] = "";

extern "C" void say_where(int) {
    constexpr std::string_view intro = "ended by a signal in: ";
    if (write(2, intro.data(), intro.size()) + write(2, where, std::strlen(where)) < 0) _exit(2);
    _exit(2);
}

std::uint64_t seed_of(std::uint64_t seed, std::string_view rung, std::uint64_t life) {
    Outcome mixed;
    mixed.add(seed);
    for (const char letter : rung) mixed.add(static_cast<unsigned char>(letter));
    mixed.add(life);
    return mixed.hash;
}

std::vector<Course> plan(const Options& options) {
    std::vector<Course> courses;
    std::uint64_t shares = 0;
    for (const Rung& rung : ladder) shares += rung.share;
    for (const Rung& rung : ladder) {
        if (!options.rung.empty() && options.rung != rung.name) continue;
        std::uint64_t ops =
            options.rung.empty() ? std::max<std::uint64_t>(1, options.ops * rung.share / shares) : options.ops;
        if (options.life != UINT64_MAX) ops = rung.life * (options.life + 1);
        const std::uint64_t lives = (ops + rung.life - 1) / rung.life;
        courses.push_back({&rung, universe_of(rung), ops, std::vector<Outcome>(lives), lives});
    }
    return courses;
}

class Runner {
public:
    explicit Runner(const Options& options) : options_(options), courses_(plan(options)) {}

    int run() {
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < options_.jobs; ++i) threads.emplace_back([this] { work(); });
        for (std::thread& thread : threads) thread.join();
        if (failed_) return 1;
        Outcome all;
        for (const Course& course : courses_) {
            for (const Outcome& outcome : course.outcomes) all.add(outcome);
        }
        std::printf("%llu ops, %llu events, %llu of them missed, %llu refusals, %llu times validated\n",
                    static_cast<unsigned long long>(all.ops), static_cast<unsigned long long>(all.events),
                    static_cast<unsigned long long>(all.missed), static_cast<unsigned long long>(all.refused),
                    static_cast<unsigned long long>(all.validated));
        std::printf("result hash %016llx\n", static_cast<unsigned long long>(all.hash));
        return 0;
    }

    [[nodiscard]] bool empty() const { return courses_.empty(); }

private:
    void work() {
        for (Course& course : courses_) {
            for (std::uint64_t life = 0; life < course.outcomes.size(); ++life) {
                if (options_.life != UINT64_MAX && life != options_.life) continue;
                if (failed_) return;
                if (take(course, life)) live(course, life);
            }
        }
    }
    // Whether this thread is the one to run a life.
    bool take(const Course& course, std::uint64_t life) {
        const std::scoped_lock lock(mutex_);
        const std::pair next{course.rung, life};
        if (next.first < next_.first || (next.first == next_.first && next.second < next_.second)) return false;
        next_ = {course.rung, life + 1};
        return true;
    }

    void live(Course& course, std::uint64_t life) {
        const Rung& rung = *course.rung;
        const std::uint64_t ops = std::min<std::uint64_t>(rung.life, course.ops - life * rung.life);
        std::snprintf(where, sizeof where, "--seed %llu --rung %s --life %llu\n",
                      static_cast<unsigned long long>(options_.seed), rung.name, static_cast<unsigned long long>(life));
        const auto begin = std::chrono::steady_clock::now();
        Life lived(rung, course.universe, seed_of(options_.seed, rung.name, life));
        try {
            course.outcomes[life] = lived.run(ops);
        } catch (const std::exception& difference) {
            const std::scoped_lock lock(mutex_);
            failed_ = true;
            std::printf("DIFFERENCE in op %llu, at %llu: %s\n%sagain: grantwheel_differential %s",
                        static_cast<unsigned long long>(lived.op()), static_cast<unsigned long long>(lived.now()),
                        difference.what(), lived.last_calls().c_str(), where);
            return;
        }
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        const std::scoped_lock lock(mutex_);
        course.seconds += took.count();
        if (--course.left == 0 || options_.life != UINT64_MAX) print(course);
    }

    void print(const Course& course) const {
        const Rung& rung = *course.rung;
        Outcome all;
        for (const Outcome& outcome : course.outcomes) all.add(outcome);
        std::printf("%s, seed %llu: %s: %llu ops in %zu lives, %.2f M/s, hash %016llx\n", rung.name,
                    static_cast<unsigned long long>(options_.seed), describe(rung, course.universe).c_str(),
                    static_cast<unsigned long long>(all.ops), course.outcomes.size(),
                    static_cast<double>(all.ops) / course.seconds / 1e6, static_cast<unsigned long long>(all.hash));
        std::fflush(stdout);
    }

    const Options options_;
    std::vector<Course> courses_;
    std::mutex mutex_{};
    std::pair<const Rung*, std::uint64_t> next_{nullptr, 0};  // rungs lie in one array
    std::atomic<bool> failed_ = false;
};

bool read_options(std::span<char*> arguments, Options& options) {
    for (std::size_t i = 0; i < arguments.size(); i += 2) {
        if (i + 1 == arguments.size()) return false;
        const std::string_view name = arguments[i];
        char* end = nullptr;
        const double number = std::strtod(arguments[i + 1], &end);
        if (name == "--rung") {
            options.rung = arguments[i + 1];
            continue;
        }
        if (*end != '\0' || number < 0 || number > 1e18) return false;
        if (name == "--ops") {
            options.ops = static_cast<std::uint64_t>(number);
        } else if (name == "--seed") {
            options.seed = static_cast<std::uint64_t>(number);
        } else if (name == "--jobs") {
            options.jobs = static_cast<unsigned>(std::clamp(number, 1.0, 1024.0));
        } else if (name == "--life") {
            options.life = static_cast<std::uint64_t>(number);
        } else {
            return false;
        }
    }
    return options.life == UINT64_MAX || !options.rung.empty();
}

}  // namespace

}  // namespace grantwheel::test

int main(int count, char** arguments) {
    using namespace grantwheel::test;
    Options options;
    if (!read_options(std::span(arguments, static_cast<std::size_t>(count)).subspan(1), options)) {
        std::fputs("usage: grantwheel_differential [--ops N] [--seed N] [--jobs N] [--rung NAME [--life N]]\n", stderr);
        return 2;
    }
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, say_where);
    Runner runner(options);
    if (runner.empty()) {
        std::fputs("there is no such rung\n", stderr);
        return 2;
    }
    return runner.run();
}
