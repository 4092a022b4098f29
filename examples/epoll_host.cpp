// A host with an event loop: epoll waits for lines on stdin, for signals, and for a timerfd that is set to `wake_at`.
//
//   $ epoll_host [EVENTS]          EVENTS: how many events to keep for the reader, 65536 if not given
//   apply 1000 GPS 500             uid, type, milliseconds; 0 milliseconds: until it is released
//   release 1000 GPS
//   stop 1000                      the app has stopped
//   who GPS
//   quit                           or the end of the input, or SIGINT, or SIGTERM
//
// Whatever happens to a grant is printed as an event, when it happens. Everything runs in one thread, so there is no
// lock. Stdin must be a terminal, a pipe or a socket: epoll takes no files.
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <grantwheel/clock.hpp>
#include <grantwheel/manager.hpp>

#include "arguments.hpp"

namespace gw = grantwheel;

namespace {

constexpr const char* usage =
    "usage: epoll_host [EVENTS]\n"
    "Reads commands, a line each, and prints what happens to grants; keeps EVENTS events for the reader (65536).\n"
    "  apply UID TYPE MILLISECONDS    0 milliseconds: until it is released\n"
    "  release UID TYPE\n"
    "  stop UID\n"
    "  who TYPE\n"
    "  quit\n";
constexpr std::size_t records_in_one_go = 1000;
constexpr std::size_t longest_line = 4096;

struct NamedType {
    std::string_view name;
    gw::Mask mask;
};
#define NAMED(name, position) {#name, gw::type::name},
constexpr NamedType types[] = {GRANTWHEEL_TYPE_LIST(NAMED)};
#undef NAMED
#define NAME(name) #name,
constexpr const char* kinds[] = {GRANTWHEEL_EVENT_KIND_LIST(NAME)};
constexpr const char* causes[] = {GRANTWHEEL_CAUSE_LIST(NAME)};
#undef NAME

// 0, which no request may ask for, when there is no such type.
gw::Mask type_of(std::string_view name) {
    for (const NamedType& type : types) {
        if (type.name == name) return type.mask;
    }
    return 0;
}

std::string names_of(gw::Mask mask) {
    std::string names;
    for (const NamedType& type : types) {
        if ((mask & type.mask) == 0) continue;
        if (!names.empty()) names += '|';
        names += type.name;
    }
    return names;
}

class Host {
public:
    Host(gw::Manager& manager, int timer) : manager_(manager), timer_(timer) {}

    // One line of the protocol; false for the last.
    bool obey(std::string_view line) {
        const gw::Instant now = gw::boot_now();
        const std::string_view verb = next_word(line);
        if (verb.empty()) return true;
        if (verb == "quit") return false;
        if (verb == "apply" || verb == "release") {
            gw::Caller caller;
            caller.uid = next_number(line);
            caller.pid = ::getpid();
            caller.system_app = true;
            gw::Request request;
            request.is_apply = verb == "apply";
            request.mask = type_of(next_word(line));
            if (request.is_apply) {
                const std::int64_t timeout = next_number(line);
                request.is_persist = timeout == 0;
                request.timeout_ms = static_cast<std::uint64_t>(timeout);  // what is negative is refused as too long
            }
            answer(manager_.request(caller, request, now));
        } else if (verb == "stop") {
            answer(manager_.execute(manager_.admit_app_stopped(next_number(line), now), now));
        } else if (verb == "who") {
            print_holders(type_of(next_word(line)), now);
        } else {
            std::printf("no such command\n");
        }
        return true;
    }

    // The timer has fired. What one slice leaves is still due, so `rearm` has the timer fire again at once, and others
    // get their turn in between.
    void expire() {
        std::uint64_t fired = 0;
        if (::read(timer_, &fired, sizeof fired) < 0) return;  // set anew in the meantime
        (void)manager_.engine().advance(gw::boot_now(), records_in_one_go);
    }

    // To be called after everything that may have changed something: prints the events that are new, and sets the timer
    // to the next instant at which there may be some.
    void settle() {
        print_events();
        rearm();
        std::fflush(stdout);
    }

private:
    static std::string_view next_word(std::string_view& line) {
        const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
        const std::size_t end = std::min(line.find(' ', begin), line.size());
        const std::string_view word = line.substr(begin, end - begin);
        line.remove_prefix(end);
        return word;
    }

    // -1, which is no uid and no timeout, when there is no number.
    static std::int64_t next_number(std::string_view& line) {
        const std::string_view word = next_word(line);
        const char* const end = word.data() + word.size();
        std::int64_t number = -1;
        const auto [rest, error] = std::from_chars(word.data(), end, number);
        return error == std::errc{} && rest == end ? number : -1;
    }

    static void answer(gw::Result result) {
        if (result.status == gw::Status::ok) {
            std::printf("ok %s\n", names_of(result.mask).c_str());
        } else {
            std::printf("refused: %s\n", std::string(gw::status_text(result.status)).c_str());
        }
    }

    void print_holders(gw::Mask mask, gw::Instant now) {
        std::vector<gw::Owner> owners(manager_.engine().most_owners(mask));
        std::size_t count = 0;
        if (manager_.engine().owners(mask, nullptr, now, owners, count) != gw::Status::ok) return;
        std::printf("%zu:", count);
        for (std::size_t i = 0; i < count; ++i) std::printf(" %u", owners[i].key);
        std::printf("\n");
    }

    void print_events() {
        std::array<gw::Event, 64> events;
        for (;;) {
            const gw::EventsRead read = manager_.engine().read(last_event_, events);
            if (read.missed != 0) std::printf("missed %" PRIu64 " events\n", read.missed);
            if (read.count == 0) return;
            for (const gw::Event& event : std::span(events).first(read.count)) {
                std::printf("event %" PRIu64 " at %" PRIu64 ": %s %s %u %s\n", event.sequence, event.time,
                            kinds[static_cast<std::size_t>(event.kind)], causes[static_cast<std::size_t>(event.cause)],
                            event.uid, names_of(event.mask).c_str());
            }
            last_event_ = events[read.count - 1].sequence;
        }
    }

    // The timer's clock is that of `boot_now`, and its time absolute: what has passed already fires at once, and after a
    // suspend it fires at the wake-up.
    void rearm() {
        const gw::Instant wake = manager_.engine().wake_at();
        itimerspec when{};  // all zero: off
        if (wake != gw::no_deadline) {
            when.it_value.tv_sec = static_cast<time_t>(wake / 1000);
            when.it_value.tv_nsec = static_cast<long>(wake % 1000) * 1'000'000 + 1;  // never all zero
        }
        if (::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr) != 0) std::perror("timerfd_settime");
    }

    gw::Manager& manager_;
    int timer_;
    std::uint64_t last_event_ = 0;
};

// Reads what there is and obeys each whole line of it; false at the end of the input, after the last line, or when a line
// is too long.
bool read_lines(Host& host, std::string& pending) {
    std::array<char, longest_line> buffer;
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size < 0) return errno == EINTR || errno == EAGAIN;
    pending.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
        if (!host.obey(std::string_view(pending).substr(begin, end - begin))) return false;
    }
    pending.erase(0, begin);
    return size != 0 && pending.size() < longest_line;
}

bool watch(int epoll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (const auto code = usage_only(count, arguments, 1, usage)) return *code;
    gw::Limits limits;
    if (count > 1) {
        const auto events = number_of(arguments[1], UINT32_MAX);
        if (!events) {
            std::fputs(usage, stderr);
            return 2;
        }
        limits.event_capacity = static_cast<std::uint32_t>(*events);
    }
    const auto manager = gw::Manager::create(limits);
    if (!manager) {
        const char* const field = limits.first_invalid();
        std::fprintf(stderr, "no manager: %s\n", field != nullptr ? field : "out of memory");
        return 1;
    }

    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, nullptr);  // they are read, not delivered

    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    const int signals = ::signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    const int timer = ::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (!watch(epoll, signals) || !watch(epoll, timer) || !watch(epoll, STDIN_FILENO)) {
        std::perror("epoll");
        return 1;
    }

    Host host(*manager, timer);
    std::string pending;
    for (bool more = true; more;) {
        std::array<epoll_event, 8> ready;
        const int found = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
        for (int i = 0; i < found; ++i) {
            const int fd = ready[static_cast<std::size_t>(i)].data.fd;
            if (fd == signals) more = false;
            if (fd == timer) host.expire();
            if (fd == STDIN_FILENO && more) more = read_lines(host, pending);
        }
        host.settle();
    }
    for (const int fd : {timer, signals, epoll}) ::close(fd);
    std::printf("bye\n");
    return 0;
}
